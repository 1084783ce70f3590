"""Addresses of the runtime plane, as the contract names them."""

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.urls import path

from budgets.api.runtime.health import LivenessView, ReadinessView
from budgets.api.runtime.lease_acts import GiveBackView, RenewView
from budgets.api.runtime.leases import LeaseView
from budgets.api.runtime.openapi import OpenApiView
from budgets.api.runtime.reads import BalanceListView, ReservationListView, ReservationView
from budgets.api.runtime.views import CommitView, DecideView, EventView, ExtendView, ReleaseView, ReserveView

_reserve, _list = ReserveView.as_view(), ReservationListView.as_view()


def reservations(request: HttpRequest) -> HttpResponse:
    """One address, two views: POST is on the hot path and GET is not."""
    if request.method == "POST":
        return _reserve(request)
    if request.method in {"GET", "HEAD"}:
        return _list(request)
    return HttpResponseNotAllowed(["GET", "HEAD", "POST"])


# DRF's views carry this mark; the function in front of two of them has to carry it too.
reservations.csrf_exempt = True  # type: ignore[attr-defined]

urlpatterns = [
    path("v1/reservations", reservations),
    path("v1/reservations/<str:reservation_id>/commit", CommitView.as_view()),
    path("v1/reservations/<str:reservation_id>/release", ReleaseView.as_view()),
    path("v1/reservations/<str:reservation_id>/extend", ExtendView.as_view()),
    path("v1/reservations/<str:reservation_id>", ReservationView.as_view()),
    path("v1/decide", DecideView.as_view()),
    path("v1/events", EventView.as_view()),
    path("v1/balances", BalanceListView.as_view()),
    path("v1/x-watermaster/credentials/lease", LeaseView.as_view()),
    path("v1/x-watermaster/credentials/renew", RenewView.as_view()),
    path("v1/x-watermaster/credentials/give-back", GiveBackView.as_view()),
    path("v1/x-watermaster/openapi.json", OpenApiView.as_view()),
    path("actuator/health", ReadinessView.as_view()),
    path("actuator/health/readiness", ReadinessView.as_view()),
    path("actuator/health/liveness", LivenessView.as_view()),
    path("healthz", LivenessView.as_view()),
    path("readyz", ReadinessView.as_view()),
]
