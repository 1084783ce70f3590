"""The form that says for how long rows are kept."""

from typing import Any, Final

from django import forms

from budgets.console.money_forms import ReasonField
from budgets.models import KeepingTerm
from budgets.services.keeping_terms import DAYS_MAX, said_words

PLAN: Final = "plan"
_DAYS: Final = "days"
_FOREVER: Final = "forever"


class KeepForm(forms.Form):
    """`seen` is the tenant's own term at the time of looking: another one by now is not written over."""

    keep = forms.ChoiceField(label="Keep them")
    days = forms.IntegerField(
        label="Days",
        required=False,
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
    )
    reason = ReasonField()
    seen = forms.CharField(widget=forms.HiddenInput, max_length=32)

    def __init__(self, *args: Any, otherwise: str, least: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["keep"].choices = [  # type: ignore[attr-defined]
            (PLAN, f"No term of its own: {otherwise}"),
            (_DAYS, "For so many days"),
            (_FOREVER, "For ever"),
        ]
        self.fields["days"].help_text = f"{least} to {DAYS_MAX}; only for so many days."

    def clean(self) -> None:
        is_missing = self.cleaned_data.get("days") is None and "days" not in self.errors
        if self.cleaned_data.get("keep") == _DAYS and is_missing:
            self.add_error("days", "Say for how many days.")

    @property
    def term(self) -> int | None:
        """So many days, None for ever; after `is_valid`, where it is a term of the tenant's own."""
        return self.cleaned_data["days"] if self.cleaned_data["keep"] == _DAYS else None


def keep_of(term: KeepingTerm | None) -> dict[str, object]:
    """What the form begins with: the tenant's own term as it is."""
    keep = PLAN if term is None else _FOREVER if term.days is None else _DAYS
    return {"keep": keep, "days": term.days if term else None, "seen": said_words(term)}
