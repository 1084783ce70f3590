"""The sign-in form."""

from django import forms
from django.contrib.auth.forms import AuthenticationForm

from accounts.models.user import normal_email


class SignInForm(AuthenticationForm):
    """Django's form with an e-mail address for a name.

    An unknown address, a wrong password and somebody who left read the same sentence, after the same time.
    """

    username = forms.EmailField(
        label="E-mail",
        max_length=254,
        widget=forms.EmailInput(
            attrs={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false", "autofocus": True}
        ),
    )
    password = forms.CharField(
        label="Password",
        strip=False,
        max_length=1024,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    error_messages = {
        "invalid_login": "This e-mail address and password do not match.",
        "inactive": "This e-mail address and password do not match.",
    }

    def clean_username(self) -> str:
        return normal_email(self.cleaned_data["username"])
