"""The test box: would this call be allowed? A sentence, the checks, the route, and nothing that is kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from django import forms

from budgets.console.checks import Check
from budgets.console.explanation import explain
from budgets.console.grants import Fact
from budgets.console.wording import reason_words
from kernel.ids import Tag
from kernel.pages.bars import Tone
from kernel.pages.phrases import Phrase, Sentence, plain
from routing.services.call_trial import CannotTry, try_call

_MICROCENTS_PER_USD: Final = 10**8
_LEVELS: Final = ("workspace", "app", "workflow", "agent", "toolset")
_OF_SENDERS: Final = ("Key ", "Idempotency key")
_SCOPE_NAME: Final = r"\A[a-zA-Z0-9_.-]{1,128}\Z"


def _scope_field(label: str) -> forms.RegexField:
    return forms.RegexField(
        label=label,
        regex=_SCOPE_NAME,
        required=False,
        max_length=128,
        error_messages={"invalid": "Use letters, digits and _ . - only."},
    )


class CallForm(forms.Form):
    """A call as its runtime would announce it. What is left out is left to the rules."""

    workspace = _scope_field("Workspace")
    agent = _scope_field("Agent")
    kind = forms.CharField(
        label="Action kind",
        max_length=64,
        required=False,
        help_text="Left out: tool.call for a tool without a model, else llm.completion.",
    )
    traffic_class = forms.CharField(label="Traffic class", max_length=64, required=False)
    model = forms.CharField(label="Model", max_length=256, required=False)
    tool = forms.CharField(label="Tool", max_length=256, required=False)
    input_tokens = forms.IntegerField(label="Input tokens", min_value=0, max_value=10**10, initial=1_000)
    output_tokens = forms.IntegerField(label="Output tokens, at most", min_value=0, max_value=10**10, required=False)
    estimate = forms.DecimalField(
        label="Estimate, USD",
        min_value=Decimal(0),
        max_value=Decimal(10**9),
        max_digits=18,
        decimal_places=8,
        required=False,
    )
    priority = forms.ChoiceField(
        label="Priority", choices=[(name, name) for name in ("low", "normal", "high")], initial="normal"
    )

    @property
    def amount(self) -> int | None:
        estimate = self.cleaned_data["estimate"]
        return None if estimate is None else int(estimate * _MICROCENTS_PER_USD)

    @property
    def action(self) -> dict[str, str]:
        values = self.cleaned_data
        is_tool = bool(values["tool"]) and not values["model"]
        kind = values["kind"] or ("tool.call" if is_tool else "llm.completion")
        return {"kind": kind, "name": values["tool"] if is_tool else values["model"] or kind}

    @property
    def levels(self) -> dict[str, str]:
        return {level: self.cleaned_data[level] for level in _LEVELS if self.cleaned_data.get(level)}

    @property
    def facts(self) -> dict[str, Any]:
        values = self.cleaned_data
        facts: dict[str, Any] = {"input_tokens": values["input_tokens"]}
        if values["output_tokens"] is not None:
            facts["max_output_tokens"] = values["output_tokens"]
        if values["model"]:
            facts["model"] = values["model"]
        if values["tool"]:
            facts["tools"] = [values["tool"]]
        if values["traffic_class"]:
            facts["class_hint"] = {"class": values["traffic_class"], "confidence": 1.0}
        return facts


@dataclass(frozen=True, slots=True, kw_only=True)
class CallResult:
    """`sentence` first, then why in `checks`; `route` and `caps` of what would be allowed."""

    verdict: str
    tone: Tone
    sentence: Sentence
    shadow: Sentence = ()
    checks: tuple[Check, ...] = ()
    remedies: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()


def asked_call(query: Mapping[str, Any], *, prefix: str = "try") -> CallForm:
    """The form: bound when the box was sent, else with what one begins with."""
    return CallForm(query) if prefix in query else CallForm()


def result_of(form: CallForm, *, tag: Tag, slug: str, time_zone: str) -> CallResult | None:
    """What the call would be told; None where the form does not say a call."""
    if not form.is_bound or not form.is_valid():
        return None
    values = form.cleaned_data
    suffixes = [""]
    for level, name in form.levels.items():
        suffixes.append(f"{suffixes[-1]}/{level}:{name.lower()}")
    try:
        record = try_call(
            tag=tag,
            suffixes=suffixes,
            subject={"tenant": slug, **form.levels},
            action=form.action,
            facts=form.facts,
            amount=form.amount,
            priority=values["priority"],
        )
    except CannotTry as refusal:
        why = reason_words(str(refusal)).lower()
        words = f"This call cannot be judged: {why}. Give it an estimate, or a model that has a price."
        return CallResult(verdict="Unknown", tone=Tone.INFO, sentence=(Phrase(words),))
    found = explain(record, time_zone=time_zone, now=datetime.now(UTC))
    is_denied = record.verdict.value == "DENY"
    with_caps = " with caps" if record.verdict.value == "ALLOW_WITH_CAPS" else ""
    # The sentence of a decision begins with what it was and when; this one was not.
    words = f"This call would be {'denied' if is_denied else f'allowed{with_caps}'}"
    return CallResult(
        verdict="Denied" if is_denied else "Allowed",
        tone=Tone.BAD if is_denied else Tone.GOOD,
        sentence=(Phrase(words), *found.summary[2:]),
        shadow=found.shadow,
        # A trial has neither key nor idempotency key of anybody.
        checks=tuple(check for check in found.checks if not plain(check.words).startswith(_OF_SENDERS)),
        remedies=found.remedies,
        facts=(*found.route, *found.caps),
    )
