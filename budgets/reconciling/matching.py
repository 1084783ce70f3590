"""Which observation is which charge, and what differs.

Calls are matched by the provider's id where both sides have one. What is left over is matched by likeness: the same
model and the same tokens, the nearest in time, and not further apart than `APART_MAX`. Days are compared as sums.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from budgets.reconciling.calls import Booked, Comparison, Difference, Finding, Observed, Side

#: A hold may be committed a while after the provider answered.
APART_MAX: Final = timedelta(minutes=15)
_PPM: Final = 1_000_000


def compare_calls(observed: Sequence[Observed], booked: Sequence[Booked], *, tolerance_ppm: int) -> Comparison:
    """Call by call. Costs may differ by `tolerance_ppm` of the observed one; tokens may not differ."""
    pairs, observed_left, booked_left = _by_reference(observed, booked)
    more, observed_left, booked_left = _by_likeness(observed_left, booked_left)
    differences = [
        *(_drift(one, other) for one, other in (*pairs, *more) if _differs(one, other, tolerance_ppm)),
        *(_missing(one) for one in observed_left),
        *(_extra(one) for one in booked_left),
    ]
    return _comparison(observed, booked, matched=len(pairs) + len(more), differences=differences)


def compare_days(
    observed: Sequence[Observed], booked: Sequence[Booked], *, zone: ZoneInfo, tolerance_ppm: int
) -> Comparison:
    """Day by day and model by model, the days being those of `zone`. A model that names no provider is of any."""
    one_side: dict[tuple[date, str], list[Observed]] = defaultdict(list)
    for each in observed:
        day = each.day or (each.at.astimezone(zone).date() if each.at else None)
        assert day is not None, "an observation has a day or a time"
        one_side[day, each.model].append(each)
    other_side: dict[tuple[date, str], list[Booked]] = defaultdict(list)
    for charge in booked:
        other_side[charge.at.astimezone(zone).date(), charge.model].append(charge)
    differences: list[Difference] = []
    for key in sorted({*one_side, *other_side}):
        found = _of_day(key, one_side.get(key, []), other_side.get(key, []), tolerance_ppm)
        differences += [found] if found else []
    matched = len(one_side.keys() & other_side.keys())
    return _comparison(observed, booked, matched=matched, differences=differences)


def _by_reference(
    observed: Sequence[Observed], booked: Sequence[Booked]
) -> tuple[list[tuple[Observed, Booked]], list[Observed], list[Booked]]:
    by_reference: dict[str, list[Booked]] = defaultdict(list)
    for charge in booked:
        for reference in charge.references:
            by_reference[reference].append(charge)
    taken: set[int] = set()
    pairs, left = [], []
    for each in observed:
        candidates = (charge for reference in each.references for charge in by_reference.get(reference, ()))
        found = next((charge for charge in candidates if charge.seq not in taken), None)
        if found is None:
            left.append(each)
        else:
            taken.add(found.seq)
            pairs.append((each, found))
    return pairs, left, [charge for charge in booked if charge.seq not in taken]


def _by_likeness(
    observed: Sequence[Observed], booked: Sequence[Booked]
) -> tuple[list[tuple[Observed, Booked]], list[Observed], list[Booked]]:
    alike: dict[tuple[str, int | None, int | None], list[Booked]] = defaultdict(list)
    for charge in sorted(booked, key=lambda each: each.at):
        # A charge that has an id, and another one than any that was observed, is another call.
        if not charge.references:
            alike[charge.model, charge.tokens_input, charge.tokens_output].append(charge)
    pairs, left, taken = [], [], set()
    for each in observed:
        line = alike.get((each.model, each.tokens_input, each.tokens_output), [])
        if each.at is None or each.tokens_input is None or not line:
            left.append(each)
            continue
        at = each.at
        nearest = _nearest(line, at)
        if abs(line[nearest].at - at) > APART_MAX:
            left.append(each)
            continue
        # By its place: a tool that asks the same thing again and again has a long line of equals.
        found = line.pop(nearest)
        taken.add(found.seq)
        pairs.append((each, found))
    return pairs, left, [charge for charge in booked if charge.seq not in taken]


def _nearest(line: Sequence[Booked], at: datetime) -> int:
    """The place of the charge nearest in time; `line` is in order of time, and not empty."""
    place = bisect_left(line, at, key=lambda charge: charge.at)
    return min(range(max(place - 1, 0), min(place + 1, len(line))), key=lambda near: abs(line[near].at - at))


def _differs(one: Observed, other: Booked, tolerance_ppm: int) -> bool:
    return (
        _is_other(one.tokens_input, other.tokens_input)
        or _is_other(one.tokens_output, other.tokens_output)
        or _costs_otherwise(one.cost, other.cost, tolerance_ppm)
    )


def _is_other(one: int | None, other: int | None) -> bool:
    return one is not None and other is not None and one != other


def _costs_otherwise(one: int | None, other: int | None, tolerance_ppm: int) -> bool:
    return one is not None and other is not None and abs(one - other) * _PPM > abs(one) * tolerance_ppm


def _drift(one: Observed, other: Booked) -> Difference:
    return Difference(
        finding=Finding.DRIFT,
        model=one.model,
        reference=one.references[0] if one.references else "",
        at=one.at or other.at,
        place=one.place,
        seq=other.seq,
        scope_path=other.scope_path,
        tokens_input=(one.tokens_input, other.tokens_input),
        tokens_output=(one.tokens_output, other.tokens_output),
        cost=(one.cost, other.cost),
    )


def _missing(one: Observed) -> Difference:
    return Difference(
        finding=Finding.MISSING,
        model=one.model,
        reference=one.references[0] if one.references else "",
        at=one.at,
        day=one.day,
        place=one.place,
        tokens_input=(one.tokens_input, None),
        tokens_output=(one.tokens_output, None),
        cost=(one.cost, None),
    )


def _extra(other: Booked) -> Difference:
    return Difference(
        finding=Finding.EXTRA,
        model=other.model,
        reference=other.references[0] if other.references else "",
        at=other.at,
        seq=other.seq,
        scope_path=other.scope_path,
        tokens_input=(None, other.tokens_input),
        tokens_output=(None, other.tokens_output),
        cost=(None, other.cost),
    )


def _of_day(
    key: tuple[date, str], observed: Sequence[Observed], booked: Sequence[Booked], tolerance_ppm: int
) -> Difference | None:
    day, model = key
    tokens_input = (_sum(each.tokens_input for each in observed), _sum(each.tokens_input for each in booked))
    tokens_output = (_sum(each.tokens_output for each in observed), _sum(each.tokens_output for each in booked))
    cost = (_sum(each.cost for each in observed), _sum(each.cost for each in booked))
    if observed and booked:
        if not (_is_other(*tokens_input) or _is_other(*tokens_output) or _costs_otherwise(*cost, tolerance_ppm)):
            return None
        finding = Finding.DRIFT
    else:
        finding = Finding.MISSING if observed else Finding.EXTRA
    return Difference(
        finding=finding,
        model=model,
        day=day,
        place=observed[0].place if observed else "",
        tokens_input=tokens_input,
        tokens_output=tokens_output,
        cost=cost,
    )


def _sum(numbers: Iterable[int | None]) -> int | None:
    """None where no call says a number."""
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None


def _comparison(
    observed: Sequence[Observed], booked: Sequence[Booked], *, matched: int, differences: list[Difference]
) -> Comparison:
    # What is worth most first; of the same worth, in order of time.
    differences.sort(key=lambda each: (-abs(each.cost_difference), str(each.day or each.at or "")))
    return Comparison(
        observed=_side(observed),
        booked=_side(booked),
        matched=matched,
        differences=tuple(differences),
        counts=Counter(each.finding for each in differences),
    )


def _side(calls: Sequence[Observed] | Sequence[Booked]) -> Side:
    return Side(
        calls=sum((each.calls or 0) if isinstance(each, Observed) else 1 for each in calls),
        tokens_input=sum(each.tokens_input or 0 for each in calls),
        tokens_output=sum(each.tokens_output or 0 for each in calls),
        cost=sum(each.cost or 0 for each in calls),
    )
