"""Addresses of pages about what things cost: use over time, statements, files, and all tenants in a month."""

from django.urls import URLPattern, path

from budgets.console.statements import statement_csv, statement_detail, statement_list, statement_pdf
from budgets.console.usage import usage

ops: list[URLPattern] = []
books: list[URLPattern] = [
    path("usage/", usage, name="usage"),
    path("statements/", statement_list, name="statement_list"),
    path("statements/<str:month>/", statement_detail, name="statement"),
    path("statements/<str:month>/csv/", statement_csv, name="statement_csv"),
    path("statements/<str:month>/pdf/", statement_pdf, name="statement_pdf"),
]
