"""`/statements/`: what a tenant was charged in a month, to be sent to whoever pays."""

from datetime import UTC, datetime
from typing import Final

from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.http import content_disposition_header

from accounts.console.pages import page
from accounts.console.place import place_of
from accounts.roles import Act
from budgets.console.statement_paper import paper_of
from budgets.console.statement_parts import (
    CSV_COLUMNS,
    LINES_SHOWN,
    csv_rows,
    parts_of,
    statement_number,
)
from budgets.selectors.ledger_beginning import BeforeTheLedger, ledger_beginning
from budgets.selectors.statements import Month, NotAMonth, Statement, months_since, read_month, statement
from budgets.selectors.steps import Step
from budgets.selectors.usage import usage_series
from kernel.pages.exports import FileFormat, file_response
from kernel.tenancy import in_tenant
from tenants.console.currency import currency_context
from tenants.selectors.directory import TenantLine

_MONTHS_SHOWN: Final = 24


@page(Act.SEE_BOOKS)
def statement_list(request: HttpRequest, slug: str) -> HttpResponse:
    place = place_of(request)
    tenant = place.tenant
    now = datetime.now(UTC)
    months = months_since(tenant.created_at, until=now, time_zone=tenant.time_zone, limit=_MONTHS_SHOWN)
    with in_tenant(tenant.tag):
        kept_since = ledger_beginning().at
        points = usage_series(since=months[-1].starts_at, until=now, step=Step.MONTH, time_zone=tenant.time_zone)
    sums = {f"{point.starts_at:%Y-%m}": point.sums for point in points}
    context = {
        "section": "tenants" if place.is_ops else "statements",
        "place": place,
        "tenant": tenant,
        "time_zone": tenant.time_zone,
        "months": [
            (month, sums.get(month.text), month.ends_at <= now)
            for month in months
            if kept_since is None or month.starts_at >= kept_since
        ],
        "kept_since": kept_since,
        **currency_context(request),
    }
    return render(request, "budgets/statement_list.html", context)


@page(Act.SEE_BOOKS)
def statement_detail(request: HttpRequest, slug: str, month: str) -> HttpResponse:
    place = place_of(request)
    tenant = place.tenant
    now = datetime.now(UTC)
    found = _statement(tenant, month, now=now)
    context = {
        "section": "tenants" if place.is_ops else "statements",
        "place": place,
        "tenant": tenant,
        "time_zone": tenant.time_zone,
        "now": now,
        "number": statement_number(tenant, found),
        "statement": found,
        "parts": parts_of(found),
        "is_final": now >= found.month.ends_at,
        "carried_hidden": found.carried_count - len(found.carried),
        "first_entry": found.after + 1,
        "lines_shown": LINES_SHOWN,
        **currency_context(request),
    }
    return render(request, "budgets/statement_detail.html", context)


@page(Act.EXPORT)
def statement_csv(request: HttpRequest, slug: str, month: str) -> HttpResponseBase:
    tenant = place_of(request).tenant
    found = _statement(tenant, month, now=datetime.now(UTC))
    return file_response(FileFormat.CSV, statement_number(tenant, found), CSV_COLUMNS, csv_rows(tenant, found))


@page(Act.EXPORT)
def statement_pdf(request: HttpRequest, slug: str, month: str) -> HttpResponse:
    # The maker of PDFs would be half a second of every start of the console.
    from kernel.pages.pdf import pdf_of  # noqa: PLC0415

    tenant = place_of(request).tenant
    now = datetime.now(UTC)
    found = _statement(tenant, month, now=now)
    paper = paper_of(tenant, found, now=now, display=currency_context(request)["display"])
    response = HttpResponse(pdf_of(paper), content_type="application/pdf")
    name = f"{statement_number(tenant, found)}.pdf"
    response.headers["Content-Disposition"] = content_disposition_header(as_attachment=True, filename=name) or ""
    return response


def _statement(tenant: TenantLine, text: str, *, now: datetime) -> Statement:
    """The statement of a month in which the tenant was there. Raises `Http404` for others, and for those archived."""
    try:
        month = read_month(text, time_zone=tenant.time_zone)
    except NotAMonth:
        raise Http404 from None
    if not _is_of(tenant, month, now=now):
        raise Http404
    try:
        with in_tenant(tenant.tag):
            return statement(month)
    except BeforeTheLedger as refusal:
        raise Http404(str(refusal)) from None


def _is_of(tenant: TenantLine, month: Month, *, now: datetime) -> bool:
    return month.starts_at <= now and tenant.created_at < month.ends_at
