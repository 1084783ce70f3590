"""What is asked for a new tenant, and before one is closed for good."""

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import available_timezones

from django import forms
from django.utils.text import slugify

from budgets.models.choices import Period
from kernel.pages.amounts import MICROCENTS_PER_USD
from tenants.selectors.plans import latest_plans

if TYPE_CHECKING:
    from tenants.models import Plan

_USD_MAX: Final = Decimal(10_000_000_000)
_SLUG: Final = r"[a-z0-9][a-z0-9_.\-]{0,62}"
_PERIODS: Final = ((Period.MONTH.value, "a month"), (Period.WEEK.value, "a week"), (Period.DAY.value, "a day"))
_PLAIN: Final = {"autocomplete": "off", "spellcheck": "false"}


class TenantForm(forms.Form):
    """Only the name has to be typed."""

    name = forms.CharField(label="Name", max_length=256, widget=forms.TextInput(attrs={**_PLAIN, "autofocus": True}))
    slug = forms.RegexField(
        label="Slug (made of the name where it is left out)",
        regex=rf"^{_SLUG}\Z",
        max_length=63,
        required=False,
        widget=forms.TextInput(attrs=_PLAIN),
        help_text="The first segment of every scope path, tenant:<slug>. It stays.",
        error_messages={"invalid": "1 to 63 of a-z 0-9 _ . - that begin with a letter or digit."},
    )
    plan = forms.ChoiceField(label="Plan", required=False)
    time_zone = forms.ChoiceField(label="Time zone", help_text="Its days and months begin at midnight there.")
    amount = forms.DecimalField(
        label="First budget in USD (optional)",
        required=False,
        min_value=Decimal("0.01"),
        max_value=_USD_MAX,
        decimal_places=2,
        help_text="Without a budget of its own or of its plan every call is refused.",
    )
    period = forms.ChoiceField(label="Granted anew", choices=_PERIODS, initial=Period.MONTH.value)
    owner = forms.EmailField(
        label="Owner's e-mail (optional)", max_length=254, required=False, help_text="They get an invitation."
    )

    def __init__(self, *args: Any, may_invite: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.known_plans: dict[str, Plan] = {plan.code: plan for plan in latest_plans()}
        named = [(plan.code, f"{plan.name} (v{plan.version})") for plan in self.known_plans.values()]
        self.fields["plan"].choices = [("", "No plan"), *named]  # type: ignore[attr-defined]
        zones = sorted(available_timezones() - {"localtime", "Factory"})
        self.fields["time_zone"].choices = [(zone, zone) for zone in zones]  # type: ignore[attr-defined]
        self.fields["time_zone"].initial = "UTC"
        if not may_invite:
            del self.fields["owner"]

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if not values.get("slug") and "slug" not in self.errors and values.get("name"):
            values["slug"] = slugify(values["name"])[:63]
            if not values["slug"]:
                self.add_error("slug", "The name has no letters that a slug can be made of: type one.")
        return values

    @property
    def plan_chosen(self) -> "Plan | None":
        return self.known_plans.get(self.cleaned_data["plan"])

    @property
    def microcents(self) -> int:
        """The first budget in USD_MICROCENTS, 0 for none."""
        return int((self.cleaned_data["amount"] or 0) * MICROCENTS_PER_USD)


class CloseForm(forms.Form):
    """The slug is typed, because nothing of this can be undone."""

    typed = forms.CharField(label="Type the slug to confirm", max_length=63, widget=forms.TextInput(attrs=_PLAIN))
    reason = forms.CharField(label="Reason", max_length=512, widget=forms.TextInput(attrs={"autocomplete": "off"}))

    def __init__(self, *args: Any, slug: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.slug = slug

    def clean_typed(self) -> str:
        typed: str = self.cleaned_data["typed"]
        if typed.strip() != self.slug:
            raise forms.ValidationError(f"Type {self.slug} to close this tenant, and no other.")
        return typed
