"""Addresses of the management API, below `/api/v1/`, with its description and its docs page.

The protocol has addresses of its own for webhooks and events, below `/v1/`.
"""

from django.urls import URLPattern, URLResolver, include, path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from accounts.keys.api.views import NothingHere

_DESCRIPTION = """Plans, tenants and their keys, budgets and money. Amounts are integers with their unit.

An operator's platform key acts in every tenant; a tenant's own key in its own, by its permissions and within its
scopes.
Every refusal has the same form, and says what to mend."""

operations: list[URLPattern | URLResolver] = [
    path(
        "api/v1/",
        include(
            [
                path("", include("accounts.keys.api.urls")),
                path("", include("budgets.api.management.urls")),
                path("", include("routing.api.management.urls")),
            ]
        ),
    ),
    path("v1/", include("budgets.api.webhooks.urls")),
]

urlpatterns: list[URLPattern | URLResolver] = [
    *operations,
    path(
        "api/v1/schema/",
        SpectacularAPIView.as_view(
            patterns=operations,
            authentication_classes=[],
            custom_settings={"TITLE": "Watermaster management API", "DESCRIPTION": _DESCRIPTION},
        ),
        name="schema",
    ),
    path(
        "api/v1/docs/",
        SpectacularSwaggerSplitView.as_view(url_name="schema", authentication_classes=[]),
        name="docs",
    ),
    re_path(r"^(?:api|v1)/", NothingHere.as_view()),
]
