"""One call is counted once, however many have seen it; and what the counted ones come to."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from budgets.services.evidence import SETTLES_AFTER, keep_evidence
from kernel.tenancy import in_public, in_tenant
from routing.models import PriceVersion
from routing.services.evidence_visits import visit_evidence
from telemetry.evidence.models import Span, SpanRollup
from telemetry.evidence.otlp.protobuf import read_protobuf
from telemetry.evidence.reading import Owner
from telemetry.evidence.selectors.rollups import sums_since
from telemetry.findings.models import EvidenceStanding
from telemetry.findings.services.standing import take_due_evidence
from tenants.models import Tenant
from tests.support.books import TEST_ACTOR
from tests.support.owner import delete_shared
from tests.support.prices import listed, put_in_force
from tests.support.spans import request_of, span

#: In USD_MICROCENTS: $1 and $4 for 1,000,000 tokens in and out.
COST = 100 * 100 + 10 * 400
CALL: dict[str, Any] = {"gen_ai__provider__name": "openai", "gen_ai__request__model": "seen-x"}
USED: dict[str, Any] = {"gen_ai__usage__input_tokens": 100, "gen_ai__usage__output_tokens": 10}


@pytest.fixture
def prices(database: None) -> Iterator[None]:
    put_in_force(listed("seen-x"), now=datetime.now(UTC))
    yield
    delete_shared(PriceVersion.objects.filter(model="seen-x"))


@pytest.fixture
def tenant(acme: Tenant, prices: None) -> Iterator[Tenant]:
    yield acme
    delete_shared(EvidenceStanding.objects.filter(tag=acme.tag))


def keep(tenant: Tenant, *spans: Any, scope: str = "a", at: datetime | None = None) -> None:
    sent = read_protobuf(request_of(*spans, scope=scope).SerializeToString())
    keep_evidence(sent, owner=Owner(tag=tenant.tag, slug=tenant.slug), actor=TEST_ACTOR, now=at or datetime.now(UTC))


def count(tenant: Tenant, *, at: datetime | None = None) -> bool:
    now = at or datetime.now(UTC) + timedelta(minutes=5)
    return visit_evidence(tag=tenant.tag, ends_at=now, now=now, has_time=lambda: True)


def counted(tenant: Tenant) -> dict[str, bool | None]:
    with in_tenant(tenant.tag):
        return dict(Span.objects.values_list("name", "is_counted"))


def cost(tenant: Tenant) -> int:
    with in_tenant(tenant.tag):
        return sum(line.cost for line in sums_since(datetime.now(UTC) - timedelta(days=1), limit=50))


class TestOneCall:
    def test_within_the_span_of_a_framework_is_counted_in_the_innermost(self, tenant: Tenant) -> None:
        outer = span("outer", gen_ai__operation__name="chat", **CALL, **USED)
        chain = span("chain", trace_id=outer.trace_id, parent=outer.span_id)
        inner = span(
            "inner", trace_id=outer.trace_id, parent=chain.span_id, gen_ai__operation__name="chat", **CALL, **USED
        )
        keep(tenant, outer, chain, inner)

        count(tenant)

        assert counted(tenant) == {"outer": False, "chain": True, "inner": True}
        assert cost(tenant) == COST

    def test_seen_side_by_side_is_known_by_the_answers_id(self, tenant: Tenant) -> None:
        keep(
            tenant,
            span("one", openinference__span__kind="LLM", output__value='{"id":"chatcmpl-77777777"}', **CALL, **USED),
        )
        keep(tenant, span("two", gen_ai__response__id="chatcmpl-77777777", **CALL, **USED), scope="b")

        count(tenant)

        assert set(counted(tenant).values()) == {False, True}
        assert cost(tenant) == COST

    def test_whose_second_sight_comes_late_is_not_counted_again(self, tenant: Tenant) -> None:
        outer = span("outer", gen_ai__operation__name="chat", gen_ai__response__id="chatcmpl-88888888", **CALL, **USED)
        keep(tenant, outer)
        count(tenant)

        keep(
            tenant,
            span(
                "inner", trace_id=outer.trace_id, parent=outer.span_id, gen_ai__operation__name="chat", **CALL, **USED
            ),
        )
        keep(tenant, span("twin", gen_ai__response__id="chatcmpl-88888888", **CALL, **USED))
        count(tenant)

        assert counted(tenant) == {"outer": True, "inner": False, "twin": False}
        assert cost(tenant) == COST

    def test_that_only_the_outer_span_has_the_usage_of_is_counted_there(self, tenant: Tenant) -> None:
        outer = span("outer", gen_ai__operation__name="chat", **CALL, **USED)
        keep(
            tenant, outer, span("inner", trace_id=outer.trace_id, parent=outer.span_id, gen_ai__operation__name="chat")
        )

        count(tenant)

        assert counted(tenant) == {"outer": True, "inner": False}
        assert cost(tenant) == COST

    def test_and_another_one_under_one_framework_span_are_two(self, tenant: Tenant) -> None:
        outer = span("outer", gen_ai__operation__name="chat", **CALL, **USED)
        inner = [
            span(name, trace_id=outer.trace_id, parent=outer.span_id, gen_ai__operation__name="chat", **CALL, **USED)
            for name in ("first", "second")
        ]
        keep(tenant, outer, *inner)

        count(tenant)

        assert counted(tenant) == {"outer": False, "first": True, "second": True}
        assert cost(tenant) == 2 * COST

    def test_whose_spans_name_each_other_as_parents_is_still_judged(self, tenant: Tenant) -> None:
        one, two = b"1" * 8, b"2" * 8
        first = span("first", span_id=one, parent=two, gen_ai__operation__name="chat", **CALL, **USED)
        keep(
            tenant,
            first,
            span("second", trace_id=first.trace_id, span_id=two, parent=one, gen_ai__operation__name="chat"),
        )

        count(tenant)

        assert None not in counted(tenant).values()
        assert cost(tenant) <= COST


class TestSums:
    def test_are_added_once_however_often_the_worker_comes(self, tenant: Tenant) -> None:
        keep(
            tenant,
            *(span(f"s{n}", seconds=n / 10, gen_ai__operation__name="chat", **CALL, **USED) for n in range(1, 21)),
        )
        keep(tenant, span("failed", is_error=True, gen_ai__operation__name="chat", **CALL))

        for _ in range(2):
            assert count(tenant)

        with in_tenant(tenant.tag):
            (line,) = sums_since(datetime.now(UTC) - timedelta(days=1), limit=50)
        assert (line.kind, line.provider, line.subject) == ("inference", "openai", "seen-x")
        assert (line.spans, line.errors, line.error_ppm, line.cost) == (21, 1, 47_619, 20 * COST)
        # Within the width of a place above the true ones: 1.0 s, 1.9 s and 2.0 s.
        for found, true in ((line.p50_us, 1_000_000), (line.p95_us, 1_900_000), (line.p99_us, 2_000_000)):
            assert found is not None
            assert true <= found <= true * 1.19

    def test_of_a_model_without_a_price_are_at_the_fallback_and_say_so(self, tenant: Tenant) -> None:
        keep(tenant, span(gen_ai__operation__name="chat", gen_ai__request__model="nobody-knows", **USED))

        count(tenant)

        with in_tenant(tenant.tag):
            row = SpanRollup.objects.get()
        assert row.unpriced == 1
        assert row.cost > 0

    def test_wait_until_a_call_has_settled(self, tenant: Tenant) -> None:
        now = datetime.now(UTC)
        keep(tenant, span("fresh"), at=now)

        assert count(tenant, at=now + SETTLES_AFTER - timedelta(seconds=1))
        assert counted(tenant) == {"fresh": None}
        assert count(tenant, at=now + SETTLES_AFTER + timedelta(seconds=1))
        assert counted(tenant) == {"fresh": True}


class TestVisits:
    def due_at(self, tenant: Tenant) -> datetime | None:
        with in_public():
            return EvidenceStanding.objects.get(tag=tenant.tag).due_at

    def test_are_made_once_and_leave_nothing_behind(self, tenant: Tenant) -> None:
        past = datetime.now(UTC) - timedelta(minutes=1)
        keep(tenant, span(), at=past)

        (visit,) = [each for each in take_due_evidence(limit=10) if each.tag == tenant.tag]
        assert [each for each in take_due_evidence(limit=10) if each.tag == tenant.tag] == []
        visit_evidence(tag=tenant.tag, ends_at=visit.ends_at, now=datetime.now(UTC), has_time=lambda: True)

        assert self.due_at(tenant) is None

    def test_are_repeated_for_what_has_not_settled(self, tenant: Tenant) -> None:
        keep(tenant, span(), at=datetime.now(UTC) - timedelta(minutes=1))
        (visit,) = [each for each in take_due_evidence(limit=10) if each.tag == tenant.tag]
        now = datetime.now(UTC)
        keep(tenant, span(), at=now)

        visit_evidence(tag=tenant.tag, ends_at=visit.ends_at, now=now, has_time=lambda: True)

        assert self.due_at(tenant) == now + SETTLES_AFTER
