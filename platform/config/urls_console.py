"""Addresses of the console plane."""

from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

from kernel.http.health import healthz, readyz

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", healthz),
    path("readyz", readyz),
    path("", RedirectView.as_view(pattern_name="ops:overview")),
    path("accounts/", include("accounts.console.urls")),
    path("ops/", include("budgets.console.urls")),
    path("", include("config.urls_management")),
    # The address that a denial names. It is one for all readers; who they are decides which page explains it.
    path("explain/<str:wire_id>/", RedirectView.as_view(pattern_name="ops:decision_detail"), name="explain"),
]

handler500 = "kernel.pages.failures.server_error"
