"""Forms for API keys."""

from collections.abc import Mapping
from typing import Any, Final

from django import forms

from accounts.keys.permissions import Permission
from accounts.keys.services.keys import TENANT_PERMISSIONS
from accounts.roles import Act
from budgets.console.money_forms import ReasonField
from budgets.scopes import InvalidScope, read_scope_path

_SCOPES_MAX: Final = 100
#: What an agent needs to hold, settle and give back.
_RUNTIME: Final = (
    Permission.RESERVATIONS_CREATE,
    Permission.RESERVATIONS_COMMIT,
    Permission.RESERVATIONS_RELEASE,
    Permission.RESERVATIONS_EXTEND,
    Permission.BALANCES_READ,
)

#: What whoever hands out a key with a permission may do themselves: else the key would be a way around their role.
_NEEDS: Final[Mapping[str, Act]] = {
    Permission.BUDGETS_WRITE: Act.EDIT_BUDGETS,
    Permission.POLICIES_WRITE: Act.EDIT_POLICIES,
    Permission.WEBHOOKS_WRITE: Act.EDIT_WEBHOOKS,
    Permission.KEYS_WRITE: Act.EDIT_KEYS,
}


def may_hand_out(permission: str, may: frozenset[Act]) -> bool:
    """Whether somebody with these acts may give a key this permission."""
    return permission not in _NEEDS or _NEEDS[permission] in may


class NewKeyForm(forms.Form):
    """What the key is called, what it may do, where, and for how long. `may` is what its maker may do."""

    name = forms.CharField(max_length=256, help_text="Whose key it is: the agent's name, as a rule.")
    permissions = forms.MultipleChoiceField(
        initial=[each.value for each in _RUNTIME],
        label="May",
        widget=forms.SelectMultiple(attrs={"size": 8}),
        help_text="Chosen are those that an agent needs.",
    )
    scopes = forms.CharField(
        label="Confined to",
        required=False,
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
        help_text="Scope paths like workspace:prod/agent:triage, one a line; empty for the whole tenant.",
    )
    days = forms.ChoiceField(
        label="Works for",
        choices=[("365", "a year"), ("90", "90 days"), ("7", "a week"), ("", "ever")],
        initial="365",
        required=False,
    )
    reason = ReasonField()

    def __init__(self, *args: Any, slug: str, may: frozenset[Act], **named: Any) -> None:
        super().__init__(*args, **named)
        self.slug = slug
        grantable = [(each.value, each.value) for each in Permission if each in TENANT_PERMISSIONS]
        permissions = self.fields["permissions"]
        if isinstance(permissions, forms.MultipleChoiceField):
            permissions.choices = [choice for choice in grantable if may_hand_out(choice[0], may)]

    def clean_scopes(self) -> list[str]:
        root = f"tenant:{self.slug}"
        lines = [line.strip() for line in self.cleaned_data["scopes"].splitlines() if line.strip()]
        if len(lines) > _SCOPES_MAX:
            raise forms.ValidationError(f"At most {_SCOPES_MAX} scopes.")
        found = []
        for line in lines:
            whole = line if line.lower().startswith("tenant:") else f"{root}/{line}"
            try:
                found.append(read_scope_path(whole, slug=self.slug).text)
            except InvalidScope as refusal:
                raise forms.ValidationError(f"Each scope {refusal}.") from None
        return found


class RotateForm(forms.Form):
    """For how long the secret before it goes on working."""

    overlap = forms.ChoiceField(
        label="The secret before it works for",
        choices=[("24", "24 hours more"), ("1", "an hour more"), ("168", "a week more"), ("0", "no longer")],
    )
    reason = ReasonField()


class RevokeForm(forms.Form):
    """Why."""

    reason = ReasonField()


class RevokeAllForm(forms.Form):
    """The tenant's slug, typed, and why."""

    typed = forms.CharField(max_length=64, widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}))
    reason = ReasonField()

    def __init__(self, *args: Any, slug: str, **named: Any) -> None:
        super().__init__(*args, **named)
        self.slug = slug
        self.fields["typed"].label = f"Type {slug} to confirm"

    def clean_typed(self) -> str:
        if self.cleaned_data["typed"] != self.slug:
            raise forms.ValidationError(f"This is not {self.slug}. Nothing was revoked.")
        return self.slug
