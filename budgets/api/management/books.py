"""What happened, over the management API: reservations, ledger entries and decisions, newest first."""

from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.keys.api.views import answer
from budgets.api.management.fields import amount, optional_amount
from budgets.api.management.pages import Page, PageFields, PageQuery, cursor_after, page_of, position_of
from budgets.api.management.views import TenantView
from budgets.models import Budget, Decision, LedgerEntry, Reservation
from budgets.models.choices import EntryKind, ReservationStatus, Verdict
from budgets.models.ledger import BALANCE_FIELDS, DELTA_FIELDS
from budgets.selectors.ledger_entries import EntryFilter, matching_entries
from kernel.http.described import described
from kernel.http.serialized import AmountFields, Fields, FreeObject, OneOf, Text, UnitName
from kernel.ids import Tag, mint_wire_id

_TAG = "books"
_NOT_FOUND = {404: "NOT_FOUND: no such tenant."}


class HeldFields(Fields):
    """A reservation, whatever became of it."""

    reservation_id = serializers.CharField()
    status = OneOf(choices=ReservationStatus.values)
    scope = serializers.CharField()
    reserved = AmountFields()
    actual = AmountFields(allow_null=True)
    charged = AmountFields(allow_null=True)
    overage_policy = serializers.CharField()
    run_id = serializers.CharField(allow_null=True)
    subject = FreeObject()
    action = FreeObject()
    key_id = serializers.CharField(allow_null=True)
    idempotency_key = serializers.CharField()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    finalized_at = serializers.DateTimeField(allow_null=True)


class HeldPageFields(PageFields):
    reservations = HeldFields(many=True)


class HeldQuery(PageQuery):
    """Which reservations."""

    status = OneOf(choices=ReservationStatus.values, required=False)
    run_id = Text(max_length=128, required=False)


class PostingFields(Fields):
    """What an entry did to one budget, and what stood there after it, in the entry's unit."""

    budget_id = serializers.UUIDField()
    scope = serializers.CharField()
    deltas = serializers.DictField(child=serializers.IntegerField())
    balances = serializers.DictField(child=serializers.IntegerField())


class EntryFields(Fields):
    """One line of the books. Entries are numbered without gaps and never change."""

    seq = serializers.IntegerField()
    kind = OneOf(choices=EntryKind.values)
    at = serializers.DateTimeField()
    unit = UnitName(allow_null=True)
    amount = AmountFields(allow_null=True)
    charged = AmountFields(allow_null=True)
    reservation_id = serializers.CharField(allow_null=True)
    postings = PostingFields(many=True)
    actor = serializers.CharField(allow_null=True)
    reason = serializers.CharField(allow_null=True)
    request_id = serializers.CharField(allow_null=True)
    trace_id = serializers.CharField(allow_null=True)


class EntryPageFields(PageFields):
    entries = EntryFields(many=True)


class EntryQuery(PageQuery):
    """Which entries."""

    kind = OneOf(choices=EntryKind.values, required=False)
    budget_id = serializers.UUIDField(required=False)


class DecisionFields(Fields):
    """An answer with its reasons."""

    decision_id = serializers.CharField()
    at = serializers.DateTimeField()
    endpoint = serializers.CharField()
    verdict = OneOf(choices=Verdict.values)
    reason_code = serializers.CharField(allow_null=True)
    scope = serializers.CharField(allow_null=True)
    failed_scope = serializers.CharField(allow_null=True)
    requested = AmountFields(allow_null=True)
    numbers = FreeObject(allow_null=True)
    run_id = serializers.CharField(allow_null=True)
    reservation_id = serializers.CharField(allow_null=True)
    key_id = serializers.CharField(allow_null=True)
    request_id = serializers.CharField(allow_null=True)
    trace_id = serializers.CharField(allow_null=True)


class DecisionPageFields(PageFields):
    decisions = DecisionFields(many=True)


class DecisionQuery(PageQuery):
    """Which decisions."""

    verdict = OneOf(choices=Verdict.values, required=False)
    reason_code = Text(max_length=64, required=False)


class Reservations(TenantView):
    @described(
        name="list_reservations",
        summary="Reservations, the newest first",
        tag=_TAG,
        query=HeldQuery,
        answer=HeldPageFields,
        refusals=_NOT_FOUND,
    )
    def get(self, request: Request, slug: str) -> Response:
        query = self.query(HeldQuery)
        filters = {name: query[name] for name in ("status", "run_id") if name in query}
        with self.reading(slug) as tenant:
            page = page_of(
                Reservation.objects.filter(self.within("scope_path"), **filters),
                order=("created_at", "id"),
                descending=True,
                query=query,
                tag=tenant.tag,
                binding=["reservations", filters, self.caller.key.scope_filter],
            )
        held = [_held(row, tag=tenant.tag) for row in page.rows]
        return answer(HeldPageFields, page.facts("reservations", held))


class Ledger(TenantView):
    @described(
        name="list_ledger_entries",
        summary="Ledger entries, the newest first; of each only what it did within the key's scopes."
        " A search that takes too long ends its page early, with has_more",
        tag=_TAG,
        query=EntryQuery,
        answer=EntryPageFields,
        refusals=_NOT_FOUND,
    )
    def get(self, request: Request, slug: str) -> Response:
        query = self.query(EntryQuery)
        with self.reading(slug) as tenant:
            scope_filter = self.caller.key.scope_filter
            binding = ["ledger", query.get("kind"), str(query.get("budget_id")), scope_filter]
            position = position_of(query, tag=tenant.tag, binding=binding)
            wanted = EntryFilter(
                kind=query.get("kind"),
                budget_id=self.budget_in_reach(query["budget_id"]).pk if "budget_id" in query else None,
                scopes=scope_filter,
            )
            before = None if position is None else int(position[0])
            found = matching_entries(wanted, before=before, limit=query["limit"])
            following = found.next_before
            cursor = None if following is None else cursor_after([following], tag=tenant.tag, binding=binding)
            page = Page(rows=found.entries, next_cursor=cursor)
            named = {budget_id for row in page.rows for budget_id in row.budget_ids}
            scopes = dict(
                Budget.objects.filter(self.within("scope_path"), pk__in=named).values_list("pk", "scope_path")
            )
        entries_facts = [_entry(row, tag=tenant.tag, scopes=scopes) for row in page.rows]
        return answer(EntryPageFields, page.facts("entries", entries_facts))


class Decisions(TenantView):
    @described(
        name="list_decisions",
        summary="Decisions, the newest first",
        tag=_TAG,
        query=DecisionQuery,
        answer=DecisionPageFields,
        refusals=_NOT_FOUND,
    )
    def get(self, request: Request, slug: str) -> Response:
        query = self.query(DecisionQuery)
        filters = {name: query[name] for name in ("verdict", "reason_code") if name in query}
        with self.reading(slug) as tenant:
            page = page_of(
                Decision.objects.filter(self.within("scope_path"), **filters),
                order=("id",),
                descending=True,
                query=query,
                tag=tenant.tag,
                binding=["decisions", filters, self.caller.key.scope_filter],
            )
        decisions = [_decision(row, tag=tenant.tag) for row in page.rows]
        return answer(DecisionPageFields, page.facts("decisions", decisions))


def _held(row: Reservation, *, tag: Tag) -> dict[str, Any]:
    plain = ("status", "overage_policy", "run_id", "subject", "action", "idempotency_key")
    times = ("created_at", "expires_at", "finalized_at")
    return {
        "reservation_id": mint_wire_id("rsv", tag, row.pk),
        "scope": row.scope_path,
        "reserved": amount(row.unit, row.amount),
        "actual": optional_amount(row.unit, row.actual),
        "charged": optional_amount(row.unit, row.charged),
        "key_id": row.api_key_id,
        **{name: getattr(row, name) for name in plain + times},
    }


def _entry(row: LedgerEntry, *, tag: Tag, scopes: dict[UUID, str]) -> dict[str, Any]:
    deltas_each, balances_each = len(DELTA_FIELDS), len(BALANCE_FIELDS)
    postings = [
        {
            "budget_id": budget_id,
            "scope": scopes[budget_id],
            "deltas": dict(zip(DELTA_FIELDS, row.deltas[n * deltas_each :], strict=False)),
            "balances": dict(zip(BALANCE_FIELDS, row.balances[n * balances_each :], strict=False)),
        }
        for n, budget_id in enumerate(row.budget_ids)
        if budget_id in scopes
    ]
    plain = ("seq", "kind", "at", "unit", "actor", "reason", "request_id", "trace_id")
    return {
        "amount": optional_amount(row.unit or "", row.amount),
        "charged": optional_amount(row.unit or "", row.charged),
        "reservation_id": mint_wire_id("rsv", tag, row.reservation_id) if row.reservation_id else None,
        "postings": postings,
        **{name: getattr(row, name) for name in plain},
    }


def _decision(row: Decision, *, tag: Tag) -> dict[str, Any]:
    plain = ("at", "endpoint", "verdict", "reason_code", "failed_scope", "numbers", "run_id", "request_id", "trace_id")
    return {
        "decision_id": mint_wire_id("dec", tag, row.pk),
        "scope": row.scope_path,
        "requested": optional_amount(row.unit or "", row.amount),
        "reservation_id": mint_wire_id("rsv", tag, row.reservation_id) if row.reservation_id else None,
        "key_id": row.api_key_id,
        **{name: getattr(row, name) for name in plain},
    }
