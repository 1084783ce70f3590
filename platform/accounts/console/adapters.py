"""Where allauth asks us: which accounts there are, whom a provider's word lets in, and how secrets are kept."""

import base64
import ipaddress
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import qrcode
from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.login import record_authentication
from allauth.account.models import EmailAddress
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialLogin
from cryptography.fernet import Fernet, MultiFernet
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from qrcode.image.svg import SvgPathFillImage

from accounts.console.gate import start_session_clock
from accounts.console.impersonation import end_impersonation
from accounts.models import User
from accounts.models.user import normal_email
from accounts.services.invitations import accept_as_verified
from accounts.services.sign_in_attempts import begin_attempt, forget_attempts
from kernel.http.network_address import network_address
from kernel.keyring import keys_for

_FIRST_STEP = "password_of_first_step"
_UNSAID = frozenset({"account/messages/logged_in.txt", "account/messages/logged_out.txt"})


class AccountAdapter(DefaultAccountAdapter):
    """Nobody signs up by themselves; every way of signing in starts the session's clock."""

    error_messages = DefaultAccountAdapter.error_messages | {
        "email_password_mismatch": "This e-mail address and password do not match.",
        "incorrect_code": "This code is wrong, or was used before.",
        "incorrect_password": "This is not your password.",
        "enter_current_password": "This is not your password.",
        "too_many_login_attempts": "Too many attempts. Try again in a few minutes.",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def is_safe_url(self, url: str | None) -> bool:
        """This host only: the others of ALLOWED_HOSTS are tenants' own."""
        return url_has_allowed_host_and_scheme(
            url, allowed_hosts={self.request.get_host()}, require_https=self.request.is_secure()
        )

    def pre_login(self, request: HttpRequest, user: AbstractBaseUser, **more: Any) -> HttpResponse | None:
        request.session[_FIRST_STEP] = user.get_session_auth_hash()
        response: HttpResponse | None = super().pre_login(request, user, **more)
        return response

    def login(self, request: HttpRequest, user: AbstractBaseUser) -> None:
        # A new password ends what was begun with the old one, a sign-in between its two steps as well.
        if request.session.pop(_FIRST_STEP, None) != user.get_session_auth_hash():
            raise ImmediateHttpResponse(redirect("accounts:sign_in"))
        super().login(request, user)
        start_session_clock(request)
        # Whoever has just signed in has proved who they are.
        record_authentication(request, user, method="sign_in", reauthenticated=True)

    def logout(self, request: HttpRequest) -> None:
        end_impersonation(request)
        super().logout(request)

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """The view has counted the attempt already, in a way that works while Valkey is away."""

    def reauthenticate(self, user: AbstractBaseUser, password: str) -> bool:
        """Whether this is the password; guessing it is as slow as at the sign-in."""
        assert isinstance(user, User)
        address, now = network_address(self.request), datetime.now(UTC)
        if not begin_attempt(email=user.email, network_address=address, now=now).is_allowed:
            raise self.validation_error("too_many_login_attempts")
        is_right = user.check_password(password)
        if is_right:
            forget_attempts(email=user.email, network_address=address, now=now)
        return is_right

    def get_client_ip(self, request: HttpRequest) -> str:
        try:
            return str(ipaddress.ip_address(network_address(request)))
        except ValueError:
            return "0.0.0.0"  # noqa: S104  # "unknown" in a column that holds addresses only

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        return redirect("accounts:account").url

    def add_message(
        self, request: HttpRequest, level: int, message_template: str | None = None, *args: Any, **more: Any
    ) -> None:
        if message_template not in _UNSAID:
            super().add_message(request, level, message_template, *args, **more)


class MfaAdapter(DefaultMFAAdapter):
    """Keeps the secrets of authenticator apps and recovery codes encrypted, under a key of their own."""

    error_messages = DefaultMFAAdapter.error_messages | {
        "incorrect_code": AccountAdapter.error_messages["incorrect_code"],
    }

    def encrypt(self, text: str) -> str:
        return _box().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return _box().decrypt(encrypted_text.encode()).decode()

    def build_totp_svg(self, url: str) -> str:
        """On white, so that it can be scanned from a dark page as well."""
        drawn = BytesIO()
        qrcode.make(url, image_factory=SvgPathFillImage).save(drawn)
        return drawn.getvalue().decode()


class SocialAdapter(DefaultSocialAccountAdapter):
    """A provider's word signs in somebody who is known here, or invited, under an address that it has verified.

    Nothing of the identity is kept: the address is looked up each time, so whoever leaves here has left.
    """

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        return False

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        if sociallogin.state.get("process", "login") != "login":
            # Connecting an identity to an account would let in somebody whose address is another.
            raise ImmediateHttpResponse(redirect("accounts:sign_in"))
        if sociallogin.is_existing:
            return
        for address in sociallogin.email_addresses:
            email = normal_email(address.email)
            if _is_verified(address) and accept_as_verified(email=email, now=datetime.now(UTC)):
                sociallogin.lookup()
                return

    def authenticate_by_email(self, sociallogin: SocialLogin) -> tuple[User, str] | None:
        for address in sociallogin.email_addresses:
            email = normal_email(address.email)
            if _is_verified(address) and (user := User.objects.filter(email=email, is_active=True).first()):
                return user, email
        return None


def _is_verified(address: EmailAddress) -> bool:
    # Some providers send the claim as text, and the text "false" must not count.
    return address.verified in (True, "true")


def _box() -> MultiFernet:
    return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in keys_for("second-factor").verifying])
