"""Addresses under `/accounts/`. Those of allauth are in `allauth_urls`: it looks for them without a namespace."""

from allauth.account.views import logout
from django.urls import path
from django.views.decorators.http import require_POST

from accounts.console.account import account
from accounts.console.impersonation import end_act_as
from accounts.console.invitation import invitation
from accounts.console.reauth import kept_form
from accounts.console.second_factor import go_on
from accounts.console.views import SignIn

app_name = "accounts"
urlpatterns = [
    path("", account, name="account"),
    path("login/", SignIn.as_view(), name="sign_in"),
    # By POST only, so that no picture or link can do it.
    path("logout/", require_POST(logout), name="sign_out"),
    path("go-on/", go_on, name="go_on"),
    path("kept/<str:ticket>/", kept_form, name="kept_form"),
    path("invitation/<str:token>/", invitation, name="invitation"),
    path("end-act-as/", end_act_as, name="end_act_as"),
]
