"""Every operation of both planes with another tenant's ids, cursors, keys and names in every place that takes one.

Nothing is read, nothing is changed (`untouched`), and what is another's looks like what is not there: the same status,
body, headers, and the same work of the database.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

import pytest
from django.test import override_settings

from accounts.keys.api.rights import RIGHTS
from config.installed import MIDDLEWARES
from tests.foe.conftest import Feud
from tests.foe.trying import (
    PLAIN_ARGUMENTS,
    is_reached,
    kind_of_argument,
    places_of,
    shoot,
    theirs_for,
    try_place,
    whole_shot,
)
from tests.support.foe.bodies import bodies_of
from tests.support.foe.operations import (
    KINDS,
    WORDS,
    Operation,
    Plane,
    described,
    fields_of,
    operations,
    parameters_of,
    places_in,
    takes_body,
)
from tests.support.foe.victim import seen_in
from tests.support.management import Caller

#: What no description names, with the reason. They are tried all the same where they take anything.
UNDESCRIBED: Final[Mapping[str, str]] = {
    "GET /metrics": "takes nothing, and answers whoever runs the service",
    "POST /otlp/v1/traces": "OpenTelemetry describes it",
}

runtime = pytest.mark.parametrize("operation", operations(Plane.API), ids=lambda operation: operation.id)
management = pytest.mark.parametrize("operation", operations(Plane.CONSOLE), ids=lambda operation: operation.id)
EVERY: Final = (*operations(Plane.API), *operations(Plane.CONSOLE))


@pytest.fixture(scope="class")
def at_runtime(feud: Feud) -> Iterator[Feud]:
    """The api plane, whose middleware is its own, with callers of its own."""
    with override_settings(ROOT_URLCONF="config.urls_api", MIDDLEWARE=MIDDLEWARES["api"]):
        yield replace(feud, foe=Caller(token=feud.foe.token), victim=Caller(token=feud.victim.token))


class TestWhatIsTried:
    """An operation, a parameter or a field that nobody has thought of here is found, and cannot be passed over."""

    def test_every_operation_is_described(self) -> None:
        assert {each.id for each in EVERY if described(each) is None} == UNDESCRIBED.keys()

    def test_every_name_is_known(self) -> None:
        arguments = {(each.id, name) for each in EVERY for name in each.arguments if not kind_of_argument(name)}
        texts = {(each.id, name) for each in EVERY for name in (*parameters_of(each), *fields_of(each))}

        assert {pair for pair in arguments if pair[1] not in PLAIN_ARGUMENTS} == set(), "Say what they name."
        unknown = {pair for pair in texts if pair[1] not in KINDS.keys() | WORDS}
        assert unknown == set(), "Say in tests/support/foe/operations.py what they name, or that they are words."

    def test_every_body_names_all_that_it_can(self, feud: Feud) -> None:
        bodies = bodies_of(feud.own)
        missing = [each.id for each in EVERY if takes_body(each) and fields_of(each) and each.id not in bodies]

        assert missing == [], "Give them bodies in tests/support/foe/bodies.py."
        for each in EVERY:
            named = {
                next(step for step in reversed(steps) if isinstance(step, str))
                for steps, _ in places_in(bodies.get(each.id), each)
            }
            assert named >= fields_of(each) & KINDS.keys(), each.id

    def test_no_body_is_of_an_operation_that_is_not_there(self, feud: Feud) -> None:
        assert bodies_of(feud.own).keys() <= {each.id for each in EVERY}

    def test_the_tables_of_rights_and_of_addresses_are_the_same(self) -> None:
        assert {(each.view, each.method.upper()) for each in operations(Plane.CONSOLE)} == set(RIGHTS)


class TestRuntime:
    @runtime
    def test_what_is_anothers_is_not_there(self, operation: Operation, at_runtime: Feud) -> None:
        _try_all(at_runtime, operation)


class TestManagement:
    @management
    def test_what_is_anothers_is_not_there(self, operation: Operation, feud: Feud) -> None:
        _try_all(feud, operation)


def _try_all(feud: Feud, operation: Operation) -> None:
    learned, missed = _whole(feud, operation), []
    for place in places_of(operation, feud.own):
        theirs = theirs_for(feud, operation, place)
        if theirs is None:
            continue
        learned += try_place(feud, operation, place, theirs)
        if not is_reached(feud, operation, place, theirs):
            missed.append(place.name)

    assert not learned, "\n".join(learned)
    assert missed == [], "The body or the parameters are refused before these are looked at."


def _whole(feud: Feud, operation: Operation) -> list[str]:
    """What comes of the very request that the victim would send."""
    shot = whole_shot(operation, feud.theirs)
    said = shoot(feud.foe, operation, shot, sent="")
    failed = [f"fails with {said.status}"] if said.status >= 500 else []
    return failed + [f"as a whole it reads {secret!r}" for secret in seen_in(said.raw, feud.secrets, sent=str(shot))]
