"""What the command line says about replays, read and checked before anything is played."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from budgets.replay.player import CONCURRENCY_MAX, Replay
from budgets.replay.prices import TIERS, FlatPrice
from budgets.replay.trace import UnreadableTrace, read_trace
from kernel.money import AMOUNT_MAX

_MICROCENTS_PER_USD: Final = 10**8
_PRICE_MAX: Final = 1_000_000
_NO_NAME: Final = re.compile(r"[^a-z0-9_.-]+")


class WrongOption(Exception):
    """The sentence says which, and what it should be."""


def read_replays(options: Mapping[str, Any], *, demo: Mapping[str, str], api_url: str) -> list[Replay]:
    """One replay for each file. Keys that were not given come from `demo`. Raises `WrongOption`."""
    files, tenants = options["files"], options["tenants"]
    if len(files) != len(tenants):
        raise WrongOption(f"{len(files)} files need {len(files)} times --tenant, one for each in the same order.")
    if options["api_keys"] and len(options["api_keys"]) != len(tenants):
        raise WrongOption("Give --api-key once for each --tenant in the same order, or not at all.")
    if not 1 <= options["concurrency"] <= CONCURRENCY_MAX:
        raise WrongOption(f"--concurrency is 1 to {CONCURRENCY_MAX}.")
    if options["speed"] < 0 or options["token_ms"] < 0 or not 0 <= options["estimate_tokens"] <= AMOUNT_MAX // 10**9:
        raise WrongOption("--speed, --token-ms and --estimate-tokens are not below 0.")
    if options["limit"] is not None and options["limit"] < 1:
        raise WrongOption("--limit is at least 1.")
    price = read_price(options["price"]) if options["price"] else TIERS[options["tier"]]
    run = uuid4().hex[:12]
    return [
        Replay(
            name=_name(path),
            trace=_trace(path, limit=options["limit"]),
            tenant=tenant,
            workspace=options["workspace"],
            api_url=api_url,
            api_key=_api_key(options["api_keys"], position, demo=demo, tenant=tenant),
            price=price,
            model=f"replay-{options['tier']}",
            generated_tokens=options["estimate_tokens"],
            policy=options["policy"],
            speed=options["speed"],
            token_ms=options["token_ms"],
            concurrency=options["concurrency"],
            key_prefix=f"replay-{run}-{position}",
        )
        for position, (path, tenant) in enumerate(zip(files, tenants, strict=True))
    ]


def read_amounts(texts: Sequence[str], *, count: int) -> list[int]:
    """An amount in USD_MICROCENTS for each of `count` tenants; none where none was given. Raises `WrongOption`."""
    if len(texts) not in {0, 1, count}:
        raise WrongOption("Give --budget once for all, or once for each --tenant in the same order.")
    amounts = [_amount(text) for text in texts]
    return amounts * count if len(amounts) == 1 else amounts


def read_price(text: str) -> FlatPrice:
    """Two integers, as in `15,60`. Raises `WrongOption`."""
    match = re.fullmatch(r"(\d{1,7}),(\d{1,7})", text)
    if match is None or not all(int(part) <= _PRICE_MAX for part in match.groups()):
        raise WrongOption("--price is two integers, as in 15,60: USD_MICROCENTS for a token in and for one out.")
    return FlatPrice(int(match[1]), int(match[2]))


def _amount(text: str) -> int:
    try:
        microcents = Decimal(text) * _MICROCENTS_PER_USD
        amount = int(microcents)
    except (InvalidOperation, ValueError, OverflowError):
        raise WrongOption(f"--budget {text} is no amount of USD, such as 2.50.") from None
    if amount != microcents or not 0 <= amount <= AMOUNT_MAX // 2:
        raise WrongOption(f"--budget {text} is no amount of USD: not below 0, with at most 8 decimals.")
    return amount


def _name(path: Path) -> str:
    return _NO_NAME.sub("-", path.stem.lower())[:128].strip("-") or "trace"


def _trace(path: Path, *, limit: int | None) -> Any:
    try:
        return read_trace(path, limit=limit)
    except UnreadableTrace as error:
        raise WrongOption(str(error)) from None


def _api_key(given: Sequence[str], position: int, *, demo: Mapping[str, str], tenant: str) -> str:
    if given:
        return given[position]
    variable = f"{tenant.upper().replace('-', '_').replace('.', '_')}_API_KEY"
    if variable not in demo:
        raise WrongOption(f"No key for {tenant}: give --api-key, or start the demo once (make up), which makes one.")
    return demo[variable]
