"""The forms about members and operators."""

from typing import Any

from django import forms

from accounts.console.circles import Circle

_REASON = "Reason, for the audit trail"


class ReasonField(forms.CharField):
    """One line of plain text."""

    def __init__(self) -> None:
        super().__init__(label=_REASON, max_length=256, widget=forms.TextInput(attrs={"autocomplete": "off"}))


class InviteForm(forms.Form):
    """Whom to ask in, and as what."""

    email = forms.EmailField(label="E-mail", max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "off"}))
    role = forms.ChoiceField(label="Role")
    reason = ReasonField()

    def __init__(self, circle: Circle, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["role"] = forms.ChoiceField(label="Role", choices=circle.roles.choices)


class RoleForm(InviteForm):
    """What somebody is to be, and what they were when the form was shown."""

    email = forms.EmailField(max_length=254, widget=forms.HiddenInput)
    seen = forms.CharField(max_length=16, widget=forms.HiddenInput)


class RemoveForm(forms.Form):
    """Who is to go."""

    email = forms.EmailField(max_length=254, widget=forms.HiddenInput)
    reason = ReasonField()


class LeaveForm(forms.Form):
    """Why somebody goes."""

    reason = ReasonField()


class WithdrawForm(forms.Form):
    """Which invitation is taken back."""

    invitation = forms.UUIDField(widget=forms.HiddenInput)
    email = forms.EmailField(required=False, widget=forms.HiddenInput)
    reason = ReasonField()
