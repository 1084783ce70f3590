"""The addresses of allauth that we offer, below `/accounts/`. Left out: signing up, and other e-mail addresses.

Those of a forgotten password lead to views of ours under its names.
"""

from allauth.account import views as account
from allauth.mfa.base.views import reauthenticate as reauthenticate_by_code
from allauth.socialaccount.views import login_cancelled, login_error
from django.contrib.auth.decorators import login_required
from django.urls import include, path
from django.views.decorators.http import require_POST

from accounts.console.password_reset import ask, choose, follow, sent
from accounts.console.second_factor import SecondFactors
from accounts.console.views import SecondStep, SignIn

urlpatterns = [
    path("login/", SignIn.as_view(), name="account_login"),
    path("logout/", require_POST(account.logout), name="account_logout"),
    path("inactive/", account.account_inactive, name="account_inactive"),
    path("reauthenticate/", account.reauthenticate, name="account_reauthenticate"),
    path("password/change/", account.password_change, name="account_change_password"),
    path("password/set/", account.password_set, name="account_set_password"),
    path("password/reset/", ask, name="account_reset_password"),
    path("password/reset/sent/", sent, name="account_reset_password_done"),
    path("password/reset/choose/", choose, name="choose_password"),
    path("password/reset/<str:token>/", follow, name="follow_password_reset"),
    path("2fa/", login_required(SecondFactors.as_view()), name="mfa_index"),
    path("2fa/authenticate/", SecondStep.as_view(), name="mfa_authenticate"),
    path("2fa/reauthenticate/", reauthenticate_by_code, name="mfa_reauthenticate"),
    path("2fa/totp/", include("allauth.mfa.totp.urls")),
    path("2fa/recovery-codes/", include("allauth.mfa.recovery_codes.urls")),
    path("2fa/webauthn/", include("allauth.mfa.webauthn.urls")),
    path("sessions/", include("allauth.usersessions.urls")),
    path("sso/cancelled/", login_cancelled, name="socialaccount_login_cancelled"),
    path("sso/error/", login_error, name="socialaccount_login_error"),
    path("", include("allauth.socialaccount.providers.openid_connect.urls")),
]
