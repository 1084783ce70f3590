"""Addresses under `/accounts/`."""

from django.contrib.auth.views import LogoutView
from django.urls import path

from accounts.console.views import SignIn

app_name = "accounts"
urlpatterns = [
    path("login/", SignIn.as_view(), name="sign_in"),
    # By POST only, so that no picture or link can do it.
    path("logout/", LogoutView.as_view(), name="sign_out"),
]
