"""Addresses of the console plane."""

from django.urls import URLPattern, URLResolver, include, path

import accounts.console.people_urls
import budgets.console.urls
import routing.console.urls
import tenants.console.urls
from budgets.console.explain import explain
from kernel.http.health import healthz, readyz
from kernel.pages.theme import set_theme
from tenants.console.home import home
from tenants.console.metrics import metrics

_OPS = [
    *budgets.console.urls.ops,
    *routing.console.urls.ops,
    *tenants.console.urls.ops,
    *accounts.console.people_urls.ops,
]
# One tenant's pages, written once: operators read them below /ops/, its members below /t/ or on their own domain.
_BOOKS = [
    *budgets.console.urls.books,
    *routing.console.urls.books,
    *tenants.console.urls.books,
    *accounts.console.people_urls.books,
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", healthz),
    path("readyz", readyz),
    path("metrics", metrics),
    path("", home, name="home"),
    path("theme/", set_theme, name="theme"),
    path("accounts/", include("accounts.console.urls")),
    path("accounts/", include("accounts.console.allauth_urls")),
    path("t/<str:slug>/", include((_BOOKS, "books"), namespace="own_books")),
    path("ops/", include((_OPS, "ops"))),
    # The last mount is the one that the name `books` stands for on pages of neither.
    path("ops/tenants/<str:slug>/", include((_BOOKS, "books"), namespace="ops_books")),
    path("", include("config.urls_management")),
    # The address that a denial names. It is one for all readers; who they are decides which page explains it.
    path("explain/<str:wire_id>/", explain, name="explain"),
]

handler500 = "kernel.pages.failures.server_error"
