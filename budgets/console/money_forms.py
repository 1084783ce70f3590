"""Forms in which money is moved or asked for."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from django import forms

from budgets.console.siblings import Options, Siblings, free_text, group_of, movable_ids, read_choice
from budgets.console.wording import path_within_tenant
from budgets.models.choices import BudgetStatus
from budgets.selectors.budget_lines import BudgetLine
from kernel.ids import uuid7
from kernel.pages.amounts import unit_name
from kernel.pages.typed_amounts import NotAnAmount, read_amount

REASON_LENGTH_MAX = 256


class AmountField(forms.CharField):
    """An amount as people write it; its unit is known to the form alone, which reads it."""

    def __init__(self, **named: Any) -> None:
        attrs = {"inputmode": "decimal", "autocomplete": "off"}
        super().__init__(max_length=40, widget=forms.TextInput(attrs=attrs), **named)


class ReasonField(forms.CharField):
    """Why: it goes into the audit trail."""

    def __init__(self, **named: Any) -> None:
        super().__init__(label="Reason", max_length=REASON_LENGTH_MAX, **named)


class BudgetChoice(forms.ChoiceField):
    """One of the budgets, together with the limit that was seen when it was chosen."""

    known: frozenset[UUID] = frozenset()

    def valid_value(self, value: object) -> bool:
        chosen = read_choice(str(value))
        return chosen is not None and chosen[0] in self.known


_GONE: Final = {
    "required": "Choose a budget.",
    "invalid_choice": "Choose a budget that gives and takes money: this one was frozen or closed meanwhile.",
}


class MoveForm(forms.Form):
    """From, to, how much and why. Valid once both budgets stand side by side and the amount is one of their unit.

    `key` makes a form that is sent twice one move.
    """

    giver = BudgetChoice(label="From", error_messages=_GONE)
    receiver = BudgetChoice(label="To", error_messages=_GONE)
    amount = AmountField(label="Amount")
    reason = ReasonField()
    key = forms.CharField(widget=forms.HiddenInput, max_length=64)

    def __init__(self, *args: Any, groups: list[Siblings], **named: Any) -> None:
        super().__init__(*args, **named)
        self.groups = groups
        options: Options = [(group.name, group.options) for group in groups]
        for name in ("giver", "receiver"):
            field = self.fields[name]
            if isinstance(field, BudgetChoice):
                field.choices, field.known = options, movable_ids(groups)
        if len(groups) == 1:
            self.fields["amount"].label = f"Amount, {groups[0].name.rpartition(', ')[2]}"
        self.group: Siblings | None = None
        self.pair: tuple[BudgetLine, BudgetLine] | None = None
        self.seen: dict[UUID, int] = {}

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        giver, receiver = self._line("giver"), self._line("receiver")
        if giver is None or receiver is None:
            return values
        group = group_of(self.groups, giver.id)
        if giver.id == receiver.id:
            self.add_error("receiver", "Choose another budget than the one that gives.")
        elif group is None or receiver not in group.lines:
            self.add_error("receiver", "Choose a budget that stands right beside the one that gives, in its unit.")
        elif "amount" in values:
            self.group, self.pair = group, (giver, receiver)
            _read_amount(self, values, group.unit)
        return values

    def _line(self, name: str) -> BudgetLine | None:
        chosen = read_choice(self.cleaned_data.get(name, ""))
        if chosen is None:
            return None
        budget_id, seen = chosen
        if seen is not None:
            self.seen[budget_id] = seen
        return next((line for group in self.groups for line in group.lines if line.id == budget_id), None)


def new_key() -> str:
    """What tells one form from another."""
    return f"console-{uuid7()}"


class AskForm(forms.Form):
    """For which budget, how much more and why. `key` makes a form that is sent twice one request."""

    budget = forms.ChoiceField(label="Budget", error_messages=_GONE)
    amount = AmountField(label="How much more")
    reason = ReasonField()
    key = forms.UUIDField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, lines: Sequence[BudgetLine], **named: Any) -> None:
        super().__init__(*args, **named)
        self.lines = {str(line.id): line for line in lines if line.status != BudgetStatus.CLOSED}
        field = self.fields["budget"]
        if isinstance(field, forms.ChoiceField):
            field.choices = [
                (key, f"{path_within_tenant(line.scope_path)} — {free_text(line)} left")
                for key, line in self.lines.items()
            ]
        self.line: BudgetLine | None = None

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        self.line = self.lines.get(values.get("budget", ""))
        if self.line is not None and "amount" in values:
            _read_amount(self, values, self.line.unit)
        return values


class AnswerForm(forms.Form):
    """Why not."""

    reason = ReasonField()


class GrantForm(forms.Form):
    """How much, which may be less than was asked for, and why."""

    amount = AmountField(label="Amount")
    reason = ReasonField()

    def __init__(self, *args: Any, unit: str, **named: Any) -> None:
        super().__init__(*args, **named)
        self.unit = unit
        self.fields["amount"].label = f"Amount, {unit_name(unit)}"

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        if "amount" in values:
            _read_amount(self, values, self.unit)
        return values


class RaiseForm(GrantForm):
    """How much more. `key` makes a form that is sent twice one raise."""

    key = forms.CharField(widget=forms.HiddenInput, max_length=64)


def _read_amount(form: forms.Form, values: dict[str, Any], unit: str) -> None:
    """Put the amount in the place of its text, or say what is wrong with it."""
    try:
        values["amount"] = read_amount(values["amount"], unit)
    except NotAnAmount as refusal:
        form.add_error("amount", f"Must be {refusal}.")
