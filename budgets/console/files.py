"""`/usage/export/`: use, ledger and decisions of a time as a file, sent while it is read."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from accounts.console.pages import page
from accounts.console.place import place_of
from accounts.roles import Act
from budgets.console.usage_sums import span_of
from budgets.selectors.export_pages import Books, decision_rows, ledger_rows, usage_rows
from kernel.ids import mint_wire_id
from kernel.pages.exports import Column, FileFormat, Kind, file_response
from kernel.pages.parquet import ParquetMissing

_SPANS: Final = ("24h", "7d", "30d", "month")


class Content(StrEnum):
    USAGE = "usage"
    LEDGER = "ledger"
    DECISIONS = "decisions"


_INTEGERS: Final = ("calls", "events", "corrections", "holds", "commits", "releases", "expiries")
_SUMS: Final = (
    "charged", "uncovered", "corrected", "held", "planned", "observed", "given_back", "tokens_input", "tokens_output",
    "tokens_cached", "tokens_reasoning", "latency_ms",
)  # fmt: skip
_COSTS: Final = ("priced_calls", "priced_charged", "provider_cost")
_WORDS: Final = ("scope_path", "agent", "model", "tool", "traffic_class", "unit")
_USAGE: Final = (
    Column("bucket_at", Kind.TIME),
    *(Column(name) for name in _WORDS),
    *(Column(name, Kind.INTEGER) for name in _INTEGERS),
    *(Column(name, Kind.SUM) for name in _SUMS),
)
_LEDGER: Final = (
    Column("seq", Kind.INTEGER),
    Column("at", Kind.TIME),
    Column("kind"),
    Column("unit"),
    Column("amount", Kind.INTEGER),
    Column("charged", Kind.INTEGER),
    *(Column(name) for name in ("reservation_id", "event_id", "scopes", "action_kind", "action_name", "run_id")),
    *(Column(name) for name in ("actor", "reason", "request_id", "trace_id")),
)
_DECISIONS: Final = (
    Column("decision_id"),
    Column("at", Kind.TIME),
    *(Column(name) for name in ("endpoint", "verdict", "reason_code", "would_deny", "scope_path", "failed_scope")),
    Column("unit"),
    Column("amount", Kind.INTEGER),
    *(Column(name) for name in ("action_kind", "action_name", "run_id", "key_id", "request_id", "trace_id")),
)


@page(Act.EXPORT)
def usage_export(request: HttpRequest, slug: str) -> HttpResponseBase:
    """`what`, `span` and `format` as the page of usage offers them; instead of an unknown one the first is taken."""
    place = place_of(request)
    tenant = place.tenant
    now = datetime.now(UTC)
    content = Content(wanted) if (wanted := request.GET.get("what", "")) in Content else Content.USAGE
    file_format = FileFormat(wanted) if (wanted := request.GET.get("format", "")) in FileFormat else FileFormat.CSV
    span_name = wanted if (wanted := request.GET.get("span", "")) in _SPANS else "24h"
    span = span_of(span_name, now=now, time_zone=tenant.time_zone)
    books = Books(tag=tenant.tag, since=span.since, until=now)
    # What calls cost the platform is in no member's file.
    costs = _COSTS if Act.SEE_MARGIN in place.may else ()
    columns, rows = _table(content, books, costs)
    # In UTC as the times in it are.
    name = f"{tenant.slug}-{content}-{span.since.astimezone(UTC):%Y%m%dT%H%M}Z-{now:%Y%m%dT%H%M}Z"
    try:
        return file_response(file_format, name, columns, rows)
    except ParquetMissing as missing:
        return HttpResponse(f"{missing}\n", status=501, content_type="text/plain; charset=utf-8")


def _table(content: Content, books: Books, costs: Sequence[str]) -> tuple[Sequence[Column], Iterator[Sequence[object]]]:
    if content == Content.LEDGER:
        return _LEDGER, _ledger(books)
    if content == Content.DECISIONS:
        return _DECISIONS, _decisions(books)
    columns = (*_USAGE, *(Column(name, Kind.SUM) for name in costs))
    return columns, _usage(books, [column.name for column in columns])


def _usage(books: Books, names: Sequence[str]) -> Iterator[Sequence[object]]:
    for row in usage_rows(books):
        yield [getattr(row, name) for name in names]


def _ledger(books: Books) -> Iterator[Sequence[object]]:
    tag = books.tag
    for row in ledger_rows(books):
        yield (
            row["seq"], row["at"], row["kind"], row["unit"], row["amount"], row["charged"],
            mint_wire_id("rsv", tag, row["reservation_id"]) if row["reservation_id"] else None,
            mint_wire_id("evt", tag, row["event_id"]) if row["event_id"] else None,
            " ".join(row["scopes"]), row["action_kind"], row["action_name"], row["run_id"],
            row["actor"], row["reason"], row["request_id"], row["trace_id"],
        )  # fmt: skip


def _decisions(books: Books) -> Iterator[Sequence[object]]:
    for row in decision_rows(books):
        action = row.action or {}
        yield (
            mint_wire_id("dec", books.tag, row.pk), row.at, row.endpoint, row.verdict, row.reason_code, row.would_deny,
            row.scope_path, row.failed_scope, row.unit, row.amount, action.get("kind"), action.get("name"),
            row.run_id, row.api_key_id, row.request_id, row.trace_id,
        )  # fmt: skip
