"""One operation of an API, tried with what is another tenant's in each place that names something."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from urllib.parse import urlencode

from tests.foe.conftest import Feud
from tests.support.foe.asking import Said, ask
from tests.support.foe.bodies import bodies_of
from tests.support.foe.operations import KINDS, OF_ADDRESSES, Operation, parameters_of, places_in, with_value
from tests.support.foe.things import Kind, Things, twins_of
from tests.support.foe.victim import seen_in
from tests.support.management import Caller

#: Arguments of addresses that name nothing of anybody's.
PLAIN_ARGUMENTS: Final[Mapping[str, str]] = {"code": "pro", "kind": "tools", "version": "1"}
#: The protocol, AUTH & TENANCY: "Any subsequent GET/commit/release for a reservation that exists but is owned by a
#: different tenant MUST return 403 FORBIDDEN", and "Reservations that never existed MUST return HTTP 404". Both follow
#: from the id alone, so that neither tells whether the reservation is there.
_BY_PROTOCOL: Final = frozenset({"one that nobody made", "one of one's own that never was"})
#: What need not look alike, by operation and place, each with its reason.
TOLD_APART: Final[Mapping[tuple[str, str], frozenset[str]]] = {
    ("GET /v1/reservations/{reservation_id}", "reservation_id"): _BY_PROTOCOL,
    ("POST /v1/reservations/{reservation_id}/commit", "reservation_id"): _BY_PROTOCOL,
    ("POST /v1/reservations/{reservation_id}/release", "reservation_id"): _BY_PROTOCOL,
    ("POST /v1/reservations/{reservation_id}/extend", "reservation_id"): _BY_PROTOCOL,
    # A settlement is a commit that names its reservation in the body.
    ("POST /v1/x-watermaster/settle", "reservation_id"): _BY_PROTOCOL,
    # Nobody looks for the decision that a promotion comes from: that the id is one's own is enough.
    ("POST /v1/x-watermaster/admit", "attempt.of_decision"): frozenset({"one of one's own that never was"}),
}


@dataclass(frozen=True, slots=True)
class Shot:
    """A request as somebody may send it."""

    path: str
    body: Any = None


@dataclass(frozen=True, slots=True)
class Place:
    """Somewhere in a request that something is named; `aimed` is the request with another name there."""

    name: str
    kind: Kind
    aimed: Callable[[str], Shot]


def values_of(operation: Operation, things: Things) -> dict[str, str]:
    """The arguments of its address."""
    known = {name: things[kind] for name in operation.arguments if (kind := kind_of_argument(name))}
    return dict(PLAIN_ARGUMENTS) | known


def kind_of_argument(name: str) -> Kind | None:
    return OF_ADDRESSES.get(name, KINDS.get(name))


def places_of(operation: Operation, own: Things) -> Iterator[Place]:
    """Every one of the operation's: in its address, in its query string, in its body."""
    values, body = values_of(operation, own), bodies_of(own).get(operation.id)
    path = operation.address(values)

    def in_address(name: str, value: str) -> Shot:
        return Shot(operation.address(values | {name: value}), body)

    def in_query(name: str, value: str) -> Shot:
        # A page of one row, so that there are cursors.
        return Shot(f"{path}?{urlencode({'limit': 1, name: value})}", body)

    def in_body(steps: tuple[str | int, ...], value: str) -> Shot:
        return Shot(path, with_value(body, steps, value))

    for name in operation.arguments:
        if kind := kind_of_argument(name):
            yield Place(name, kind, partial(in_address, name))
    for name in parameters_of(operation):
        if name in KINDS:
            yield Place(name, KINDS[name], partial(in_query, name))
    for steps, kind in places_in(body, operation):
        yield Place(".".join(map(str, steps)), kind, partial(in_body, steps))


def theirs_for(feud: Feud, operation: Operation, place: Place) -> str | None:
    """What the victim would send there; None where it has no cursor because the list is too short."""
    if place.kind is not Kind.CURSOR:
        return feud.theirs[place.kind]
    path = operation.address(values_of(operation, feud.theirs))
    answer = feud.victim.get(f"{path}?limit=1")
    return str(answer.json()["next_cursor"]) if answer.json().get("has_more") else None


def whole_shot(operation: Operation, things: Things) -> Shot:
    """The request as the tenant that has these things would send it."""
    return Shot(operation.address(values_of(operation, things)), bodies_of(things).get(operation.id))


def shoot(caller: Caller, operation: Operation, shot: Shot, *, sent: str) -> Said:
    return ask(lambda: caller.send(operation.method, shot.path, shot.body), sent=[sent])


def try_place(feud: Feud, operation: Operation, place: Place, theirs: str) -> list[str]:
    """What the foe learns by naming `theirs` there that it would not learn of something that is not there."""
    learned = _learned(feud, operation, place, theirs)
    # A server that was short of time says so, and to whom is chance.
    return _learned(feud, operation, place, theirs) if learned else []


def _learned(feud: Feud, operation: Operation, place: Place, theirs: str) -> list[str]:
    twins = twins_of(place.kind, theirs, victim=feud.theirs.tag, foe=feud.own.tag)
    # Once before, so that what the first of several calls does (book, settle, read the rules) is done.
    first = twins_of(place.kind, theirs, victim=feud.theirs.tag, foe=feud.own.tag)[0].value
    shoot(feud.foe, operation, place.aimed(first), sent=first)
    aimed = shoot(feud.foe, operation, place.aimed(theirs), sent=theirs)
    if aimed.status >= 500:
        return [f"{place.name}: fails with {aimed.status}"]
    learned = [f"reads {secret!r}" for secret in seen_in(aimed.raw, feud.secrets, sent=theirs)]
    for twin in twins:
        if twin.words in TOLD_APART.get((operation.id, place.name), ()):
            continue
        other = shoot(feud.foe, operation, place.aimed(twin.value), sent=twin.value)
        if aimed.told != other.told:
            learned.append(f"{twin.words}: {aimed.told} and not {other.told}")
        elif twin.is_alike and aimed.statements != other.statements:
            learned.append(f"{twin.words}: by {aimed.statements} and not {other.statements}")
    return [f"{place.name}: {what}" for what in learned]


def is_reached(feud: Feud, operation: Operation, place: Place, theirs: str) -> bool:
    """Whether the request came as far as this place: a refusal of another field says nothing of this one."""
    said = shoot(feud.foe, operation, place.aimed(theirs), sent=theirs)
    field = said.body.get("details", {}).get("field") if said.status == 400 and isinstance(said.body, dict) else None
    return field is None or any(step.partition("[")[0] in place.name.split(".") for step in field.split("."))
