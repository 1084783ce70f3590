"""The form of a plan's next version."""

from decimal import Decimal
from typing import Any, Final

from django import forms

from routing.console.acts import ReasonForm
from routing.console.documents import DocumentField

_MICROCENTS_PER_USD: Final = 10**8
#: An address below the list of plans is taken.
_TAKEN: Final = {"new"}


class PlanForm(ReasonForm):
    """`seen` is the version that the author looked at, 0 for a new plan."""

    seen = forms.IntegerField(widget=forms.HiddenInput, min_value=0)
    name = forms.CharField(label="Name", max_length=256)
    price = forms.DecimalField(
        label="Price a month, USD", min_value=Decimal(0), max_value=Decimal(10**9), max_digits=18, decimal_places=8
    )
    document = DocumentField(
        label="What the plan gives, as JSON",
        help_text=(
            "budgets, run_templates, limits, run, rate, tools, routing, models, priority, on_exhaustion, share_weight."
            " Amounts are whole numbers: 1 USD = 100000000."
        ),
    )
    field_order: list[str] | None = ["code", "name", "price", "document", "reason"]

    @property
    def price_microcents(self) -> int:
        return int(self.cleaned_data["price"] * _MICROCENTS_PER_USD)


class NewPlanForm(PlanForm):
    code = forms.RegexField(
        label="Code",
        regex=r"\A[a-z0-9_-]{1,64}\Z",
        max_length=64,
        help_text="a-z 0-9 - _, as API calls name it.",
        error_messages={"invalid": "Use a-z 0-9 - _ only."},
    )

    def clean_code(self) -> Any:
        code = self.cleaned_data["code"]
        if code in _TAKEN:
            raise forms.ValidationError("This word is taken. Choose another code.")
        return code


def usd_text(microcents: int) -> str:
    """As the form's field has it."""
    return f"{(Decimal(microcents) / _MICROCENTS_PER_USD).normalize():f}"
