"""Forms for alerts: putting one off, ending one, and the marks at which they are raised."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from django import forms

from budgets.console.alert_rows import CHANNEL_WORDS
from budgets.console.money_forms import ReasonField
from budgets.models.choices import AlertKind, ChannelKind, Severity
from budgets.services.alert_addresses import Address, AddressInvalid, ChannelNotAllowed, allowed_kinds, read_address
from budgets.services.alert_rules import BOUNDS, THRESHOLDS_MAX

SNOOZES: Final[Mapping[str, timedelta]] = {
    "1": timedelta(hours=1),
    "4": timedelta(hours=4),
    "24": timedelta(hours=24),
    "168": timedelta(days=7),
}


class SnoozeForm(forms.Form):
    """For how long nobody is told, and why."""

    hours = forms.ChoiceField(
        label="For",
        choices=[("1", "an hour"), ("4", "4 hours"), ("24", "24 hours"), ("168", "a week")],
        initial="4",
    )
    reason = ReasonField()


class ResolveForm(forms.Form):
    """What was done about it."""

    reason = ReasonField()


@dataclass(frozen=True, slots=True)
class Measure:
    """How people write the thresholds of a kind: `scale` of the kind's own measure is one of theirs."""

    label: str
    help_text: str
    scale: int
    sign: str

    def text(self, thresholds: Sequence[int], *, is_signed: bool = True) -> str:
        """As a page or a field shows them: `80%, 95%`, `80, 95`."""
        sign = self.sign if is_signed else ""
        return ", ".join(f"{(Decimal(each) / self.scale).normalize():f}{sign}" for each in thresholds)

    def read(self, text: str) -> list[int]:
        """Raises `ValueError` where a number is none, or has more digits than the measure."""
        try:
            numbers = [Decimal(piece.strip().rstrip("%")) * self.scale for piece in text.split(",") if piece.strip()]
        except InvalidOperation:
            raise ValueError(text) from None
        if not all(number.is_finite() and number == int(number) for number in numbers):
            raise ValueError(text)
        return [int(number) for number in numbers]


MEASURES: Final[Mapping[AlertKind, Measure]] = {
    AlertKind.BUDGET_THRESHOLD: Measure(
        "Percentages", "Of a budget's limit, held or spent. For example 80, 95, 100.", 10_000, "%"
    ),
    AlertKind.EXHAUSTION_FORECAST: Measure(
        "Hours", "When a budget lasts no longer than this at the pace of the last hour.", 3_600, " h"
    ),
    AlertKind.BURN_RATE: Measure(
        "Times", "So many times the mean hour of the last seven days.", 1_000_000, "\N{MULTIPLICATION SIGN}"
    ),
    AlertKind.DENIAL_SPIKE: Measure(
        "Percentages", "Of the calls of the last hour that were refused, from 20 refusals on.", 10_000, "%"
    ),
    AlertKind.KEY_EXPIRING: Measure("Days", "Before a key expires. The shortest one warns.", 86_400, " d"),
    AlertKind.CREDENTIAL_EXPIRING: Measure(
        "Days", "Before a credential reference expires. The shortest one warns.", 86_400, " d"
    ),
}


class RuleForm(forms.Form):
    """A kind's thresholds, where it has some, and whether it is watched at all."""

    watch = forms.ChoiceField(label="State", choices=[("on", "Watched"), ("off", "Off")])
    thresholds = forms.CharField(max_length=200, required=False, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    reason = ReasonField()

    def __init__(self, *args: Any, kind: AlertKind, **named: Any) -> None:
        super().__init__(*args, **named)
        self.kind = kind
        measure = MEASURES.get(kind)
        if measure is None:
            del self.fields["thresholds"]
        else:
            self.fields["thresholds"].label = measure.label
            self.fields["thresholds"].help_text = measure.help_text

    def clean_thresholds(self) -> list[int]:
        measure = MEASURES[self.kind]
        text = self.cleaned_data["thresholds"]
        try:
            thresholds = measure.read(text)
        except ValueError:
            raise forms.ValidationError("Write numbers with commas between them, as in 80, 95.") from None
        least, most = BOUNDS[self.kind]
        if not 0 < len(thresholds) <= THRESHOLDS_MAX:
            raise forms.ValidationError(f"Write one to {THRESHOLDS_MAX} numbers.")
        if not all(least <= each <= most for each in thresholds):
            bounds = measure.text([least]), measure.text([most])
            raise forms.ValidationError(f"Each is between {bounds[0].strip()} and {bounds[1].strip()}.")
        return thresholds


_ADDRESS_WORDS: Final = {
    ChannelKind.EMAIL: "E-mail addresses with commas between them.",
    ChannelKind.SLACK: "The address of Slack's incoming webhook.",
    ChannelKind.WEBHOOK: "An address of yours, https://…",
}


class NewChannelForm(forms.Form):
    """Where alerts are told. Valid once the address is one of its kind; then `found` is what it means."""

    kind = forms.ChoiceField(label="By")
    name = forms.CharField(max_length=100, help_text="What people call it: on-call, finance.")
    address = forms.CharField(
        max_length=2_048,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    severity_min = forms.ChoiceField(label="From", choices=Severity.choices, initial=str(Severity.WARNING.value))
    reason = ReasonField()
    key = forms.UUIDField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        kinds = self.fields["kind"]
        if isinstance(kinds, forms.ChoiceField):
            kinds.choices = [(kind.value, CHANNEL_WORDS[kind]) for kind in allowed_kinds()]
        ways = " Or: ".join(_ADDRESS_WORDS[kind] for kind in allowed_kinds())
        self.fields["address"].help_text = f"{ways} It is sealed."
        self.found: Address | None = None

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        if "kind" in values and "address" in values:
            try:
                self.found = read_address(ChannelKind(values["kind"]), values["address"])
            except AddressInvalid as refusal:
                self.add_error("address", str(refusal))
            except ChannelNotAllowed:
                self.add_error("kind", "This installation does not speak to this kind of channel.")
        return values
