"""One call seen side by side by two instrumentations, of which one does not know the answer's id. Pure."""

from itertools import permutations
from typing import Any

import pytest

from telemetry.evidence.judging import Sighting, judge
from telemetry.evidence.kinds import SpanKind


def seen(span_id: str, by: str, answer: str = "", *, at: tuple[int, int] = (0, 100), **changes: Any) -> Sighting:
    values: dict[str, Any] = {
        "trace_id": "t",
        "span_id": span_id,
        "parent_id": "p",
        "kind": SpanKind.INFERENCE,
        "tool": "",
        "response_id": answer,
        "has_usage": True,
        "is_counted": None,
        "instrumentation": by,
        "tokens": (100, 10),
        "began_us": at[0],
        "ended_us": at[1],
    }
    return Sighting(**(values | changes))


def uncounted(*family: Sighting) -> dict[str, str]:
    found = judge(family, counted_answers={})
    return {span_id: same for (_, span_id), same in found.items()}


@pytest.mark.parametrize("inner", [(0, 100), (10, 90), (0, 90)])
@pytest.mark.parametrize("order", [0, 1])
def test_is_counted_where_the_answers_id_is_known(inner: tuple[int, int], order: int) -> None:
    family = [seen("a", "one", "chatcmpl-1"), seen("b", "two", at=inner)]

    assert uncounted(*family[:: -1 if order else 1]) == {"b": "a"}


@pytest.mark.parametrize(
    "other",
    [
        {"at": (50, 150)},
        {"at": (200, 300)},
        {"tokens": (100, 11)},
        {"by": "one"},
        {"answer": "chatcmpl-2"},
        {"parent_id": "q"},
        {"trace_id": "u"},
        {"kind": SpanKind.EMBEDDING},
        {"has_usage": False, "tokens": (0, 0)},
        {"by": ""},
    ],
    ids=repr,
)
def test_is_two_calls_where_anything_differs(other: dict[str, Any]) -> None:
    assert uncounted(seen("a", "one", "chatcmpl-1"), seen("b", **({"by": "two"} | other))) == {}


def test_is_two_calls_where_neither_knows_an_id() -> None:
    assert uncounted(seen("a", "one"), seen("b", "two")) == {}


@pytest.mark.parametrize("order", range(24))
def test_that_was_made_twice_at_once_is_counted_twice(order: int) -> None:
    family = [
        seen("a1", "one", "chatcmpl-1", at=(0, 100)),
        seen("a2", "one", "chatcmpl-2", at=(1, 101)),
        seen("b1", "two", at=(2, 98)),
        seen("b2", "two", at=(3, 99)),
    ]

    found = uncounted(*list(permutations(family))[order])

    assert found.keys() == {"b1", "b2"}
    assert set(found.values()) == {"a1", "a2"}


@pytest.mark.parametrize("order", range(24))
def test_that_was_made_twice_at_once_leaves_each_sight_the_call_that_fits(order: int) -> None:
    family = [
        seen("a1", "one", "chatcmpl-1", at=(0, 100)),
        seen("a2", "one", "chatcmpl-2", at=(1, 101)),
        # This one fits the first alone, the other one both.
        seen("b1", "two", at=(0, 98)),
        seen("b2", "two", at=(2, 98)),
    ]

    assert uncounted(*list(permutations(family))[order]) == {"b1": "a1", "b2": "a2"}


def test_whose_second_sight_comes_late_is_not_counted_again() -> None:
    first = seen("b", "two", is_counted=True)

    assert uncounted(first, seen("a", "one", "chatcmpl-1")) == {"a": "b"}


def test_of_which_one_stands_in_already_stands_in_for_no_second() -> None:
    family = [
        seen("a", "one", "chatcmpl-1", is_counted=True),
        seen("b", "two", is_counted=False, same_as="a"),
        seen("c", "two"),
    ]

    assert uncounted(*family) == {}


def test_beside_one_that_lies_around_another_is_the_same_call() -> None:
    family = [
        seen("a", "one", "chatcmpl-1"),
        seen("inner", "http", parent_id="a", at=(10, 90)),
        seen("b", "two"),
    ]

    assert uncounted(*family) == {"a": "inner", "b": "inner"}
