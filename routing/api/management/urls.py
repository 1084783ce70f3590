"""Addresses of what routes, prices and rules are made of, below `/api/v1/`."""

from django.urls import path

from routing.api.management.repricing import ChargeRepricing

# `name` and `seq` are registered beside the addresses of the books.
_TENANT = "tenants/<name:slug>"

urlpatterns = [
    path(f"{_TENANT}/ledger/<seq:seq>/reprice", ChargeRepricing.as_view(), name="charge_repricing"),
]
