"""What the clients say: reserves, lifecycles of reserve and commit. Bytes are laid out once, so that a request costs
little.
"""

import json
import os
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from bench.load import Script, Step

type Kind = Literal["reserve", "lifecycle"]

#: Four scopes deep: the tenant and these three.
SUBJECT: Final = {"workspace": "prod", "workflow": "support-triage", "agent": "planner"}
SCOPE_SUFFIXES: Final = (
    "",
    "/workspace:prod",
    "/workspace:prod/workflow:support-triage",
    "/workspace:prod/workflow:support-triage/agent:planner",
)
ACTION: Final = {"kind": "llm.completion", "name": "openai:gpt-4o"}
UNIT: Final = "USD_MICROCENTS"
ESTIMATE: Final = 1_000
ACTUAL: Final = 800
#: Names the file with what the bare view answers.
BARE_ANSWER_VARIABLE: Final = "BENCH_BARE_ANSWER"

_KEY_BYTES: Final = 16
_KEY_STAND_IN: Final = "k" * 2 * _KEY_BYTES
_ID_BEFORE: Final = b'"reservation_id":"'


@dataclass(frozen=True, slots=True)
class Account:
    """A tenant as its clients know it."""

    slug: str
    token: str


@dataclass(frozen=True, slots=True)
class _Form:
    """A request with one blank for the idempotency key."""

    before: bytes
    after: bytes

    def filled(self) -> bytes:
        return self.before + os.urandom(_KEY_BYTES).hex().encode() + self.after


@dataclass(frozen=True, slots=True)
class _Forms:
    """What one account sends. The commit's begins after the reservation's id."""

    reserve: _Form
    commit: _Form


def script_maker(kind: Kind, accounts: Sequence[Account], *, is_tour: bool = False) -> Callable[[int], Script]:
    """For each client its script. A client chooses one of the accounts for each unit, at random, for ever.

    On a tour it visits each account once, from a place of its own in the list, and leaves.
    """
    forms = [_forms(account) for account in accounts]
    make = _reserves if kind == "reserve" else _lifecycles
    if is_tour:
        # Spread out, so that two clients seldom visit one tenant at the same time.
        return lambda number: make(_tour(forms, start=number * 7919 % len(forms)))
    return lambda number: make(_at_random(forms, random.Random(number)))


def reserve_body(slug: str, idempotency_key: str) -> dict[str, object]:
    return {
        "idempotency_key": idempotency_key,
        "subject": {"tenant": slug, **SUBJECT},
        "action": ACTION,
        "estimate": {"unit": UNIT, "amount": ESTIMATE},
    }


def _at_random(forms: Sequence[_Forms], chance: random.Random) -> Iterator[_Forms]:
    draw, number = chance.random, len(forms)
    while True:
        yield forms[int(draw() * number)]


def _tour(forms: Sequence[_Forms], *, start: int) -> Iterator[_Forms]:
    yield from forms[start:]
    yield from forms[:start]


def _reserves(visits: Iterator[_Forms]) -> Script:
    for forms in visits:
        yield Step(forms.reserve.filled(), ends_unit=True)


def _lifecycles(visits: Iterator[_Forms]) -> Script:
    for forms in visits:
        reply = yield Step(forms.reserve.filled(), ends_unit=False)
        if reply.status != 200:
            continue
        start = reply.body.index(_ID_BEFORE) + len(_ID_BEFORE)
        reservation_id = reply.body[start : reply.body.index(b'"', start)]
        yield Step(b"POST /v1/reservations/" + reservation_id + forms.commit.filled(), ends_unit=True)


def _forms(account: Account) -> _Forms:
    commit = {"idempotency_key": _KEY_STAND_IN, "actual": {"unit": UNIT, "amount": ACTUAL}}
    return _Forms(
        reserve=_form(b"POST /v1/reservations", account, reserve_body(account.slug, _KEY_STAND_IN)),
        commit=_form(b"/commit", account, commit),
    )


def _form(line: bytes, account: Account, content: object) -> _Form:
    body = json.dumps(content, separators=(",", ":")).encode()
    before, _, after = body.partition(_KEY_STAND_IN.encode())
    head = (
        f" HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Cycles-API-Key: {account.token}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return _Form(before=line + head.encode() + before, after=after)
