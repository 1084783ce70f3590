"""Forms for webhooks."""

from datetime import timedelta
from typing import Any, Final

from django import forms

from telemetry.event_names import CATEGORIES, EVENT_TYPES, TENANT_CATEGORIES, TEST_EVENT, is_for_tenants
from telemetry.services.webhooks.replay import EVENTS_MAX

_WHILES: Final = {"1": "the last hour", "24": "the last day", "168": "the last week", "": "all that is kept"}


class ReasonForm(forms.Form):
    """Why: it goes into the audit trail."""

    reason = forms.CharField(label="Reason", max_length=256)


class WebhookForm(ReasonForm):
    """Where to, and of what. A tenant's own hears of its budgets, its reservations and itself."""

    name = forms.CharField(max_length=256, required=False)
    url = forms.CharField(
        label="URL",
        max_length=2048,
        widget=forms.URLInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text="https, at a public address.",
    )
    event_categories = forms.MultipleChoiceField(
        label="All events of", required=False, widget=forms.SelectMultiple(attrs={"size": 4})
    )
    event_types = forms.MultipleChoiceField(
        label="And these events", required=False, widget=forms.SelectMultiple(attrs={"size": 8})
    )
    scope_filter = forms.CharField(
        label="Within",
        required=False,
        max_length=1024,
        help_text="A scope path, * for any part, like tenant:acme/workspace:prod*; empty for all.",
    )
    max_retries = forms.IntegerField(
        label="Retries", min_value=0, max_value=10, initial=5, help_text="After 1, 2, 4, … seconds, at most a minute."
    )
    disable_after_failures = forms.IntegerField(
        label="Disable after",
        min_value=1,
        max_value=100_000,
        initial=10,
        help_text="So many events in a row that could not be delivered.",
    )
    field_order = (
        *("name", "url", "event_categories", "event_types", "scope_filter", "max_retries", "disable_after_failures"),
        "reason",
    )

    def __init__(self, *args: Any, is_platform: bool, **named: Any) -> None:
        super().__init__(*args, **named)
        categories, types = self.fields["event_categories"], self.fields["event_types"]
        assert isinstance(categories, forms.MultipleChoiceField)
        assert isinstance(types, forms.MultipleChoiceField)
        categories.choices = [(each, each) for each in CATEGORIES if is_platform or each in TENANT_CATEGORIES]
        known = {each for each in EVENT_TYPES if each != TEST_EVENT and (is_platform or is_for_tenants(each))}
        # A name of our own that was chosen over the API stays to be chosen.
        chosen = set(self.initial.get("event_types", ()))
        types.choices = [(each, each) for each in sorted(known | chosen)]

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        if not values.get("event_types") and not values.get("event_categories"):
            self.add_error("event_categories", "Choose at least one, or an event below.")
        return values

    def columns(self) -> dict[str, Any]:
        """What the service takes: all but the reason."""
        return {name: value for name, value in self.cleaned_data.items() if name != "reason"}


class ReplayForm(ReasonForm):
    """Which events are sent again."""

    hours = forms.ChoiceField(label="Events of", choices=list(_WHILES.items()), initial="24", required=False)
    max_events = forms.IntegerField(
        label="At most",
        min_value=1,
        max_value=EVENTS_MAX,
        initial=EVENTS_MAX,
        help_text="If there are more, nothing is sent.",
    )
    field_order = ("hours", "max_events", "reason")

    @property
    def reach(self) -> timedelta | None:
        hours = self.cleaned_data["hours"]
        return timedelta(hours=int(hours)) if hours else None
