"""Addresses below `/otlp/`, as OpenTelemetry names them. Not in our own description: the protocol is theirs."""

from django.urls import path

from budgets.api.otlp.views import TracesView

urlpatterns = [path("v1/traces", TracesView.as_view())]
