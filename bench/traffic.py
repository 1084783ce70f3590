"""What the clients say: reserves, lifecycles of reserve and commit, admissions, questions about tools. Bytes are laid
out once, so that a request costs little.
"""

import json
import os
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from bench.asks import CLASSES, REQUESTS_A_RUN, RUN_STAND_IN, admit_body, tools_body
from bench.wire import Script, Step

#: What the books know, over HTTP or without it; and all that the load can say. Questions write nothing.
type Kind = Literal["reserve", "lifecycle"]
type Traffic = Kind | Literal["admit", "tools"]
QUESTIONS: Final = frozenset({"tools"})

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
#: Names the files with what the bare view answers to a reserve, and to a question about tools.
BARE_ANSWER_VARIABLE: Final = "BENCH_BARE_ANSWER"
BARE_TOOLS_VARIABLE: Final = "BENCH_BARE_TOOLS"

_KEY_BYTES: Final = 16
_KEY_STAND_IN: Final = "k" * 2 * _KEY_BYTES
_ID_BEFORE: Final = b'"reservation_id":"'
_DENIAL: Final = b'"decision":"DENY"'


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
        return self.before + _random_name() + self.after


@dataclass(frozen=True, slots=True)
class _Forms:
    """What one account sends, the long ones only where they are wanted. The commit's begins after the reservation's id;
    there is an admission of each class.
    """

    reserve: _Form
    commit: _Form
    admissions: Sequence[_Form]
    tools: bytes


def script_maker(kind: Traffic, accounts: Sequence[Account], *, is_tour: bool = False) -> Callable[[int], Script]:
    """For each client its script. A client chooses one of the accounts for each unit, at random, for ever.

    On a tour it visits each account once, from a place of its own in the list, and leaves.
    """
    forms = [_forms(account, kind) for account in accounts]
    make = _SCRIPTS[kind]
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


def _admissions(visits: Iterator[_Forms]) -> Script:
    chance = random.Random()
    stand_in, run = RUN_STAND_IN.encode(), b""
    for number, forms in enumerate(visits):
        if number % REQUESTS_A_RUN == 0:
            run = _random_name()
        request = chance.choice(forms.admissions).filled().replace(stand_in, run)
        yield Step(request, ends_unit=True, denial=_DENIAL)


def _questions(visits: Iterator[_Forms]) -> Script:
    for forms in visits:
        yield Step(forms.tools, ends_unit=True)


_SCRIPTS: Final[dict[Traffic, Callable[[Iterator[_Forms]], Script]]] = {
    "reserve": _reserves,
    "lifecycle": _lifecycles,
    "admit": _admissions,
    "tools": _questions,
}


def _random_name() -> bytes:
    return os.urandom(_KEY_BYTES).hex().encode()


def _forms(account: Account, kind: Traffic) -> _Forms:
    subject = {"tenant": account.slug, **SUBJECT}
    commit = {"idempotency_key": _KEY_STAND_IN, "actual": {"unit": UNIT, "amount": ACTUAL}}
    return _Forms(
        reserve=_form(b"POST /v1/reservations", account, reserve_body(account.slug, _KEY_STAND_IN)),
        commit=_form(b"/commit", account, commit),
        admissions=[
            _form(b"POST /v1/x-watermaster/admit", account, admit_body(subject, ACTION, _KEY_STAND_IN, name))
            for name in (CLASSES if kind == "admit" else ())
        ],
        tools=_request(b"POST /v1/x-watermaster/tools", account, tools_body(subject)) if kind == "tools" else b"",
    )


def _form(line: bytes, account: Account, content: object) -> _Form:
    before, _, after = _request(line, account, content).partition(_KEY_STAND_IN.encode())
    return _Form(before=before, after=after)


def _request(line: bytes, account: Account, content: object) -> bytes:
    body = json.dumps(content, separators=(",", ":")).encode()
    head = (
        f" HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Cycles-API-Key: {account.token}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return line + head.encode() + body
