"""Forms for credential references. No field takes a secret: what looks like one is refused before it is kept."""

import re
from collections.abc import Collection, Mapping
from datetime import datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from django import forms

from vault.kinds import BackEnd
from vault.locations import Location
from vault.paths import EXAMPLES, LENGTH_MAX
from vault.services.reference_checks import NAME_LENGTH_MAX, NOTE_LENGTH_MAX

#: How well-known secrets begin, and what is too long and too mixed to be a word.
_SECRETS: Final = re.compile(
    r"\b(xox[abprs]-|ghp_|github_pat_|glpat-|sk-[A-Za-z0-9]|AKIA[A-Z0-9]{12}|hvs\.|s\.[A-Za-z0-9]{20}|eyJ[A-Za-z0-9_-]{20}|wm_live_)"
    r"|-----BEGIN|\b(?=[A-Za-z0-9+/_-]*[0-9])(?=[A-Za-z0-9+/_-]*[A-Z])(?=[A-Za-z0-9+/_-]*[a-z])[A-Za-z0-9+/_-]{32,}"
)


def typed_with(data: Mapping[str, Any], **fields: str) -> dict[str, Any]:
    """What was typed into a form, with `fields` in place of what was typed there."""
    return {name: data.get(name) for name in data} | fields


class ReasonForm(forms.Form):
    """Why: it goes into the audit trail."""

    reason = forms.CharField(label="Reason", max_length=256)

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        for name, value in list(values.items()):
            if isinstance(value, str) and _SECRETS.search(value):
                self.add_error(name, "This looks like a secret. Write where the secret lies, never the secret.")
                # The page that says so must not show it again.
                self.data = typed_with(self.data, **{name: ""})
        return values


class PlainField(forms.CharField):
    """A word or a path, not text for people."""

    def __init__(self, **named: Any) -> None:
        attrs = {"autocomplete": "off", "spellcheck": "false"}
        super().__init__(widget=forms.TextInput(attrs=attrs), **named)


class LocationForm(ReasonForm):
    """Where the secret lies."""

    path = PlainField(label="Path", max_length=LENGTH_MAX)
    key = PlainField(label="Field", required=False, max_length=128, help_text="Empty for every field that is there.")
    version = PlainField(label="Version", required=False, max_length=64, help_text="Empty for the newest.")

    @property
    def location(self) -> Location:
        values = self.cleaned_data
        return Location(path=values["path"], key=values["key"], version=values["version"])


class NewReferenceForm(LocationForm):
    """What it is called, what it opens, and where it lies. `allowed` are the back ends that its writer may bind."""

    name = forms.CharField(max_length=NAME_LENGTH_MAX, help_text="As people call it: Slack of the support team.")
    provider = PlainField(max_length=64, help_text="Whose secret it is: slack.")
    scope = PlainField(max_length=128, help_text="What a runtime asks for: slack:write.")
    tools = PlainField(
        required=False,
        max_length=128,
        help_text="The tools that need it; empty for all of the provider's: slack.*.",
    )
    back_end = forms.ChoiceField(label="Back end")
    note = forms.CharField(
        label="Least privilege",
        required=False,
        max_length=NOTE_LENGTH_MAX,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="What it must be allowed to do, and no more: chat:write in two channels.",
    )
    expires_on = forms.DateField(
        label="Last day",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text="The last day on which it is handed out; empty for no end.",
    )
    field_order = [
        *("name", "provider", "scope", "tools", "back_end", "path", "key", "version", "note", "expires_on", "reason"),
    ]

    def __init__(self, *args: Any, allowed: Collection[BackEnd], time_zone: str, **named: Any) -> None:
        super().__init__(*args, **named)
        self.zone = ZoneInfo(time_zone)
        back_end = self.fields["back_end"]
        if isinstance(back_end, forms.ChoiceField):
            back_end.choices = [(each.value, each.label) for each in BackEnd if each in allowed]
        examples = ", ".join(dict.fromkeys(EXAMPLES[each] for each in BackEnd if each in allowed))
        self.fields["path"].help_text = f"A template with the tenant in it: {examples}."

    @property
    def expires_at(self) -> datetime | None:
        """The midnight after the last day, in the tenant's time zone."""
        day = self.cleaned_data["expires_on"]
        return datetime.combine(day + timedelta(days=1), time(), self.zone) if day else None


class RotateForm(LocationForm):
    """Where it leads from now on, and how long the place before may still be asked for. `seen`: where it led."""

    overlap = forms.ChoiceField(
        label="The place before is leased for",
        choices=[("24", "24 hours more"), ("1", "an hour more"), ("168", "a week more"), ("0", "no longer")],
    )
    seen = forms.CharField(widget=forms.HiddenInput, max_length=LENGTH_MAX + 256, required=False)
    field_order = ["path", "key", "version", "overlap", "reason"]
