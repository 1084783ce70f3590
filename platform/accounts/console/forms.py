"""The forms of signing in."""

from allauth.account.forms import LoginForm
from django import forms

from accounts.models.user import normal_email


class SignInForm(LoginForm):
    """allauth's form with our words.

    An unknown address, a wrong password and somebody who left read the same sentence, after the same time.
    """

    def __init__(self, *args: object, **more: object) -> None:
        super().__init__(*args, **more)
        self.fields["login"] = forms.EmailField(
            label="E-mail",
            max_length=254,
            widget=forms.EmailInput(
                attrs={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false", "autofocus": True}
            ),
        )
        self.fields["password"] = forms.CharField(
            label="Password",
            strip=False,
            max_length=1024,
            widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
        )

    def clean_login(self) -> str:
        return normal_email(self.cleaned_data["login"])
