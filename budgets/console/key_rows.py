"""A tenant's API keys as pages show them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from accounts.keys.selectors.key_lines import KeyLine
from accounts.roles import Act
from budgets.console.key_forms import may_hand_out
from budgets.console.wording import path_within_tenant
from kernel.pages.bars import Tone


@dataclass(frozen=True, slots=True)
class KeyRow:
    """`permissions` are by noun, as in `budgets: read, write`.

    `may_rotate`: a new secret is never given to somebody who may do less than the key.
    """

    line: KeyLine
    scopes: tuple[str, ...]
    permissions: tuple[str, ...]
    state: str
    tone: Tone
    may_rotate: bool


def key_rows(lines: Sequence[KeyLine], *, may: frozenset[Act], now: datetime) -> list[KeyRow]:
    return [
        KeyRow(
            line,
            tuple(map(path_within_tenant, line.scopes)),
            _by_noun(line.permissions),
            *_state(line, now=now),
            may_rotate=all(may_hand_out(permission, may) for permission in line.permissions),
        )
        for line in lines
    ]


def _by_noun(permissions: Sequence[str]) -> tuple[str, ...]:
    split = sorted(permission.rpartition(":") for permission in permissions)
    return tuple(
        f"{noun}: {', '.join(verb for *_, verb in same)}" for noun, same in groupby(split, key=lambda part: part[0])
    )


def _state(line: KeyLine, *, now: datetime) -> tuple[str, Tone]:
    if line.is_usable(now=now):
        return "Active", Tone.GOOD
    return ("Revoked", Tone.BAD) if line.revoked_at else ("Expired", Tone.CALM)
