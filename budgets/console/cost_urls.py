"""Addresses of pages about what things cost: use over time, statements, files, and all tenants in a month."""

from django.urls import URLPattern, path

from budgets.console.files import usage_export
from budgets.console.reconciliations import reconciliation_csv, reconciliation_detail, reconciliation_list
from budgets.console.reports import reports, reports_export
from budgets.console.statements import statement_csv, statement_detail, statement_list, statement_pdf
from budgets.console.usage import usage

ops: list[URLPattern] = [
    path("reports/", reports, name="reports"),
    path("reports/csv/", reports_export, name="reports_export"),
]
books: list[URLPattern] = [
    path("usage/", usage, name="usage"),
    path("usage/export/", usage_export, name="usage_export"),
    path("statements/", statement_list, name="statement_list"),
    path("statements/<str:month>/", statement_detail, name="statement"),
    path("statements/<str:month>/csv/", statement_csv, name="statement_csv"),
    path("statements/<str:month>/pdf/", statement_pdf, name="statement_pdf"),
    path("reconciliations/", reconciliation_list, name="reconciliation_list"),
    path("reconciliations/<uuid:reconciliation_id>/", reconciliation_detail, name="reconciliation"),
    path("reconciliations/<uuid:reconciliation_id>/csv/", reconciliation_csv, name="reconciliation_csv"),
]
