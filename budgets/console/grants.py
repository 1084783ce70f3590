"""What an allowed call was given: its model and price, its caps, and what is left of its run."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from budgets.console.remedies import fallback_words
from budgets.models.choices import Verdict
from budgets.selectors.decision_records import DecisionRecord
from kernel.money import Unit
from kernel.pages.amounts import counted_text, exact_amount_text
from kernel.pages.moments import duration_text
from kernel.pages.phrases import Phrase, Sentence, code, sentence, strong


@dataclass(frozen=True, slots=True)
class Fact:
    name: str
    words: Sentence


def route_facts(record: DecisionRecord) -> tuple[Fact, ...]:
    """The model, why this one, and at which price; empty where the call chose for itself or was refused."""
    admission = record.admission or {}
    route = admission.get("route") or {}
    if record.verdict == Verdict.DENY or "model" not in route:
        return ()
    return tuple(_route(route, admission))


def cap_facts(record: DecisionRecord) -> tuple[Fact, ...]:
    """What the caller must keep to, and what its run has left after it."""
    if record.verdict == Verdict.DENY or not record.admission:
        return ()
    # What shadow mode let through was told no caps, though there were some.
    caps = record.admission.get("caps") if record.verdict == Verdict.ALLOW_WITH_CAPS else None
    return (*_caps(caps or {}), *_run(record.admission), *_timeouts(record.admission))


def _route(route: dict[str, Any], admission: dict[str, Any]) -> Iterator[Fact]:
    model = sentence(code(f"{route['provider']}:{route['model']}"))
    if route.get("deployment"):
        model += sentence(" at ", code(str(route["deployment"])))
    yield Fact("Model", model)
    if admission.get("class"):
        yield Fact("Class", sentence(code(admission["class"])))
    yield Fact("Tier", _tier(route, is_degraded=bool(admission.get("is_degraded"))))
    price = route.get("price") or {}
    if rates := _rates(price):
        yield Fact("Price", rates)
    if "source" in price:
        source = _SOURCES.get(price["source"], str(price["source"]))
        yield Fact("Price source", sentence(source, ", version ", code(str(price.get("version", "—")))))
    if "tokens" in route:
        yield Fact("Held for", sentence(counted_text(route["tokens"], "token"), ", input and output together"))
    if "context_target_tokens" in admission:
        target = counted_text(admission["context_target_tokens"], "token")
        yield Fact("Context", sentence(f"aim for at most {target}"))


def _tier(route: dict[str, Any], *, is_degraded: bool) -> Sentence:
    if route.get("tier") == "named":
        return sentence("none: the request named the model")
    tier = sentence(strong(str(route.get("tier", ""))))
    return tier + (sentence(", degraded: the budget was below its low-water mark") if is_degraded else ())


def _rates(price: dict[str, Any]) -> Sentence:
    rates = [f"{_usd(price[kind])} {words}" for kind, words in _RATES.items() if price.get(kind) is not None]
    texts = [f"{' and '.join(rates)}, for 1,000,000 tokens"] if rates else []
    if price.get("per_call"):
        texts.append(f"{_usd(price['per_call'])} a call")
    return sentence("; ".join(texts)) if texts else ()


def _caps(caps: dict[str, Any]) -> Iterator[Fact]:
    if "max_tokens" in caps:
        yield Fact("Answer", sentence("at most ", strong(counted_text(caps["max_tokens"], "token"))))
    if "max_steps_remaining" in caps:
        yield Fact("Steps after this", sentence(strong(counted_text(caps["max_steps_remaining"], "iteration"))))
    if "tool_allowlist" in caps:
        yield Fact("Tools offered", _names(caps["tool_allowlist"]) or sentence("none"))
    if caps.get("tool_denylist"):
        yield Fact("Tools left out", _names(caps["tool_denylist"]))
    if "cooldown_ms" in caps:
        yield Fact("Pause", sentence(strong(duration_text(caps["cooldown_ms"])), " before the next call"))


def _run(admission: dict[str, Any]) -> Iterator[Fact]:
    left = admission.get("limits_left") or {}
    texts = [counted_text(left[f"{noun}s"], noun) for noun in ("iteration", "token") if f"{noun}s" in left]
    if "seconds" in left:
        texts.append(duration_text(left["seconds"] * 1_000))
    if texts:
        yield Fact("Left of the run", sentence(", ".join(texts)))
    if texts and "fallback" in admission:
        yield Fact("At its limit", sentence(fallback_words(admission["fallback"])))


def _timeouts(admission: dict[str, Any]) -> Iterator[Fact]:
    timeouts = admission.get("timeouts") or {}
    pieces: list[Sentence] = []
    if "total_ms" in timeouts:
        pieces.append(sentence(duration_text(timeouts["total_ms"]), " in all"))
    if "model_ms" in timeouts:
        pieces.append(sentence(duration_text(timeouts["model_ms"]), " for the model"))
    tools = sorted((timeouts.get("tools") or {}).items())
    pieces += [sentence(duration_text(limit), " for ", code(tool)) for tool, limit in tools]
    if pieces:
        yield Fact("Timeouts", _joined(pieces))


def _names(names: Iterable[str]) -> Sentence:
    return _joined(sentence(code(str(name))) for name in names)


def _joined(pieces: Iterable[Sentence]) -> Sentence:
    joined: Sentence = ()
    for piece in pieces:
        joined += (Phrase(", "), *piece) if joined else piece
    return joined


def _usd(amount: int) -> str:
    return exact_amount_text(amount, Unit.USD_MICROCENTS)


_RATES: Final = {"input": "in", "output": "out"}
_SOURCES: Final = {
    "contract": "the tenant's contract",
    "multiplier": "the price book with the tenant's multiplier",
    "platform": "the platform's own price",
    "list": "the provider's list",
    "fallback": "the fallback price: the model has none of its own",
}
