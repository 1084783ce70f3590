"""Limits in words for people: what each is called, and how its value reads."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from kernel.pages.amounts import amount_text, counted_text, number_text, share_text
from kernel.pages.moments import duration_text
from routing.selectors.effective_limits import EffectiveLimit

_NAMES: Final = {
    "limits.input_tokens_max": "Input of one request, at most",
    "limits.output_tokens_max": "Output of one request, at most",
    "limits.runs_per_day_max": "Runs a day, at most",
    "limits.runs_per_month_max": "Runs a month, at most",
    "limits.concurrent_runs_max": "Runs at once, at most",
    "run.iterations_max": "Iterations of a run, at most",
    "run.tokens_max": "Tokens of a run, at most",
    "run.wall_seconds_max": "Time of a run, at most",
    "run.fallback": "When a run has come to a limit",
    "priority": "Priority",
    "on_exhaustion": "When the money is gone",
    "share_weight": "Weight in shared provider capacity",
    "models": "Models that may be used",
    "tools": "Tools",
    "low_water.enter_ppm": "Degrade when less is left than",
    "low_water.leave_ppm": "Recover when more is left than",
    "low_water.forecast_enter_ppm": "Degrade when the forecast spends",
    "low_water.forecast_leave_ppm": "Recover when the forecast spends less than",
    "low_water.hard_floor_ppm": "Floor for high priority",
    "low_water.normal_floor_ppm": "Floor for normal priority",
    "low_water.low_floor_ppm": "Floor for low priority",
    "low_water.context_target_ppm": "Context target when degraded",
}
_PARTS: Final = {
    "budget": "Budget of",
    "run_template": "Budget of a run by the template",
    "rate": "Rate limit",
    "tiers": "Models of the tier",
}
_CAPS: Final = {
    "iterations_max": "iterations, at most",
    "input_tokens_max": "input, at most",
    "output_tokens_max": "output, at most",
    "context_target_tokens": "context target",
    "priority": "priority",
}
_GROUPS: Final = (
    ("Money", ("budget.", "run_template.")),
    ("One request", ("limits.input", "limits.output")),
    ("Runs", ("limits.", "run.")),
    ("Rate", ("rate.",)),
    ("Priority and models", ("priority", "on_exhaustion", "share_weight", "models")),
    ("Traffic classes", ("classes.",)),
    ("Tiers", ("tiers.",)),
    ("When a budget runs low", ("low_water.",)),
    ("Tools", ("tools",)),
    ("Actions", ("actions.",)),
)
_TIERS: Final = ("tiers.small", "tiers.medium", "tiers.large")
_OTHERS: Final = "Others"


@dataclass(frozen=True, slots=True)
class LimitRow:
    """One limit as a page shows it. `origin` is a word for the kind of place, `place` the place itself."""

    name: str
    words: str
    value: str
    origin: str
    place: str


@dataclass(frozen=True, slots=True)
class LimitGroup:
    title: str
    rows: tuple[LimitRow, ...]


def limit_groups(limits: Iterable[EffectiveLimit]) -> list[LimitGroup]:
    """The limits by what they limit, groups without any left out."""
    rows: dict[str, list[LimitRow]] = {}
    for limit in limits:
        rows.setdefault(_group(limit.name), []).append(limit_row(limit))
    rows.get("Tiers", []).sort(key=lambda row: _TIERS.index(row.name) if row.name in _TIERS else len(_TIERS))
    titles = [title for title, _ in _GROUPS] + [_OTHERS]
    return [LimitGroup(title, tuple(rows[title])) for title in titles if title in rows]


def limit_row(limit: EffectiveLimit) -> LimitRow:
    return LimitRow(
        name=limit.name,
        words=limit_words(limit.name),
        value=value_words(limit),
        origin=_origin(limit.place),
        place=limit.place,
    )


def limit_words(name: str) -> str:
    """What a limit is called: `Input of one request, at most`. One that nobody has named stands for itself."""
    if name in _NAMES:
        return _NAMES[name]
    part, _, rest = name.partition(".")
    inner, _, last = rest.rpartition(".")
    if part == "classes":
        return f"Class {inner}: {_CAPS.get(last, last)}"
    if part == "actions":
        return f"Actions {last} by {inner}" if last in {"allowed", "denied"} else f"Quota on actions {rest}"
    return f"{_PARTS[part]} {rest}" if part in _PARTS else name


def value_words(limit: EffectiveLimit | None) -> str:
    """The value as people say it: `32,000 tokens`, `20%`, `60 requests at once, 120 a minute, each agent`."""
    if limit is None:
        return "no limit"
    if limit.unit:
        return amount_text(limit.value, limit.unit)
    return plain_value(limit.name, limit.value)


def plain_value(name: str, value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return _number(name, value)
    if isinstance(value, Mapping):
        return _mapping(name, value)
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value).replace("_", " ")


def _number(name: str, value: int) -> str:
    if name.endswith("_ppm"):
        return share_text(value)
    if "tokens" in name:
        return counted_text(value, "token")
    if name.endswith("_seconds_max"):
        return duration_text(value * 1_000)
    return number_text(value)


def _mapping(name: str, value: Mapping[str, Any]) -> str:
    if name.startswith("rate."):
        size, pace = number_text(value["capacity"]), number_text(value["per_minute"])
        return f"{size} {value['counts']} at once, {pace} a minute, each {value['level']}"
    if name == "tools":
        rules = ", ".join(f"{rule['pattern']} {rule['verdict']}" for rule in value.get("rules", ()))
        others = f"others {value.get('default', 'allow')}"
        return f"{rules}; {others}" if rules else others
    return "; ".join(f"{key}: {plain_value(key, each)}" for key, each in value.items()) or "none"


def _group(name: str) -> str:
    return next((title for title, starts in _GROUPS if name.startswith(starts)), _OTHERS)


def _origin(place: str) -> str:
    if place.startswith("override"):
        return "Override"
    if place.startswith("class"):
        return "Class"
    return "Plan" if place.startswith("plan") else "Books"
