"""Addresses of the api plane."""

from django.urls import URLPattern, URLResolver, include, path

from budgets.api.runtime.health import MetricsView

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("budgets.api.runtime.urls")),
    path("", include("routing.api.runtime.urls")),
    # For who runs it, not for who calls it: the plane's own description does not name it.
    path("metrics", MetricsView.as_view()),
    path("otlp/", include("budgets.api.otlp.urls")),
]

handler400 = "kernel.http.handlers.bad_request"
handler403 = "kernel.http.handlers.permission_denied"
handler404 = "kernel.http.handlers.not_found"
handler500 = "kernel.http.handlers.server_error"
