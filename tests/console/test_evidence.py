"""`evidence/`: what a tenant's runtimes saw, its traces and leaks, and operators' view of all tenants."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from accounts.models import User
from budgets.models import KillSwitch
from budgets.selectors.evidence_reach import AGENTS_MAX
from budgets.services.evidence import keep_evidence
from kernel.tenancy import in_tenant
from telemetry.evidence.otlp.protobuf import read_protobuf
from telemetry.evidence.reading import Owner
from telemetry.findings.models import EvidenceStanding
from tenants.models import Tenant
from tests.support.books import TEST_ACTOR
from tests.support.console import signed_in
from tests.support.owner import delete_shared
from tests.support.spans import Attributes, request_of, span


@pytest.fixture(autouse=True)
def _standings(acme: Tenant, initech: Tenant) -> Iterator[None]:
    yield
    delete_shared(EvidenceStanding.objects.filter(tag__in=[acme.tag, initech.tag]))


def keep(tenant: Tenant, *spans: Any, resource: Attributes | None = None) -> None:
    sent = read_protobuf(request_of(*spans, resource=resource).SerializeToString())
    keep_evidence(sent, owner=Owner(tag=tenant.tag, slug=tenant.slug), actor=TEST_ACTOR, now=datetime.now(UTC))


def text_of(answer: Any) -> str:
    assert answer.status_code == 200
    return str(answer.content.decode())


class TestOwnEvidence:
    def test_says_how_to_send_some_where_there_is_none(self, ada: User, settings: Settings) -> None:
        settings.API_PORT = 17_878

        text = text_of(signed_in(ada).get("/t/acme/evidence/"))

        assert "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:17878/otlp" in text
        assert "Leaks</th>" not in text

    def test_shows_spans_and_what_they_come_to(self, acme: Tenant, ada: User) -> None:
        keep(
            acme,
            span("chat gpt-5", seconds=2, gen_ai__operation__name="chat", gen_ai__usage__input_tokens=1_234),
            span("tool", is_error=True, gen_ai__tool__name="refund"),
        )

        text = text_of(signed_in(ada).get("/t/acme/evidence/"))

        assert "chat gpt-5" in text
        assert "1,234" in text
        assert "2 s" in text
        assert "Failed</span>" in text

    @pytest.mark.parametrize(
        ("query", "is_there"),
        [("shows=errors", False), ("kind=tool", False), ("kind=inference", True), ("kind=x", True)],
    )
    def test_is_filtered_by_its_address(self, query: str, is_there: bool, acme: Tenant, ada: User) -> None:
        keep(acme, span("the call", gen_ai__operation__name="chat"), span("refund", is_error=True, tool__name="refund"))

        assert ("the call" in text_of(signed_in(ada).get(f"/t/acme/evidence/?{query}"))) is is_there

    def test_leads_from_page_to_page_without_a_gap(self, acme: Tenant, ada: User) -> None:
        # Half of them began at the same moment.
        started = span().start_time_unix_nano
        sent = [span(f"span-{number:03}", ago_seconds=60 + number // 2) for number in range(120)]
        for number, each in enumerate(sent):
            each.start_time_unix_nano = each.end_time_unix_nano = started - number // 2 * 10**6
        keep(acme, *sent)
        browser, address, seen = signed_in(ada), "/t/acme/evidence/?within=1h", []
        for _ in range(4):
            text = text_of(browser.get(address))
            seen += [name for name in (each.name for each in sent) if f">{name}<" in text]
            if 'class="pager"' not in text:
                break
            address = "/t/acme/evidence/" + text.split('class="pager"')[1].split('href="')[1].split('"')[0].replace(
                "&amp;", "&"
            )

        assert sorted(seen) == [each.name for each in sent]

    def test_marks_a_leak_and_shows_its_trace(self, acme: Tenant, ada: User) -> None:
        leak = span("search docs", prompt_source_tenant="initech")
        keep(acme, leak, span("inside", trace_id=leak.trace_id, parent=leak.span_id))

        listed = text_of(signed_in(ada).get("/t/acme/evidence/?shows=leaks"))
        trace = text_of(signed_in(ada).get(f"/t/acme/evidence/traces/{leak.trace_id.hex()}/"))

        assert "search docs" in listed
        assert "inside" not in listed
        assert "1 span of this trace used another tenant" in " ".join(trace.split())
        assert "inside" in trace

    def test_is_not_the_neighbours(self, acme: Tenant, initech: Tenant, ada: User) -> None:
        other = span("theirs")
        keep(initech, other)
        browser = signed_in(ada)

        assert "theirs" not in text_of(browser.get("/t/acme/evidence/"))
        assert browser.get(f"/t/acme/evidence/traces/{other.trace_id.hex()}/").status_code == 404
        assert browser.get("/t/acme/evidence/traces/nothing/").status_code == 404

    def test_is_a_file_too(self, acme: Tenant, ada: User) -> None:
        keep(acme, span("=cmd()", gen_ai__operation__name="chat"))

        answer: Any = signed_in(ada).get("/t/acme/evidence/export/")

        text = b"".join(answer.streaming_content).decode()
        assert text.count("\n") == 2
        assert ",=cmd" not in text


class TestEvidenceOfAll:
    def test_begins_with_the_latest_leak(self, acme: Tenant, initech: Tenant, browser: Client) -> None:
        keep(acme, span())
        keep(initech, span("search", namespace_tenant="acme", db__collection__name="docs"), span(tenant="acme"))

        text = " ".join(text_of(browser.get("/ops/evidence/")).split())

        assert "1 leak " in text
        assert "/ops/tenants/initech/evidence/?shows=leaks" in text
        assert text.index("/ops/tenants/initech/evidence/") < text.index("/ops/tenants/acme/evidence/")

    def test_is_closed_to_members(self, ada: User) -> None:
        assert signed_in(ada).get("/ops/evidence/").status_code == 404


class TestReach:
    def test_names_who_used_a_key_since_when_and_by_which_agents(
        self, acme: Tenant, initech: Tenant, browser: Client
    ) -> None:
        first = span("hit", ago_seconds=3_600, watermaster__cache_key="answers", gen_ai__agent__name="planner")
        keep(acme, first, span("hit", watermaster__cache_key="answers"))
        keep(initech, span("hit", watermaster__cache_key="answers"), span("other", watermaster__cache_key="mine"))

        text = " ".join(text_of(browser.get("/ops/evidence/reach/?text=answers")).split())

        assert text.index("/ops/tenants/acme/evidence/") < text.index("/ops/tenants/initech/evidence/")
        assert "planner" in text
        assert "initech" not in text_of(browser.get("/ops/evidence/reach/?text=nothing"))

    def test_looks_at_every_tenant_a_page_at_a_time(
        self, acme: Tenant, initech: Tenant, browser: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("budgets.console.reach.LOOKED_AT_MAX", 1)
        for tenant in (acme, initech):
            keep(tenant, span(watermaster__cache_key="shared"))

        first = text_of(browser.get("/ops/evidence/reach/?text=shared"))
        second = text_of(browser.get("/ops/evidence/reach/?text=shared&skip=1"))

        assert "Tenants 1 to 1 of 2" in first
        assert "text=shared&amp;skip=1" in first
        assert "Tenants 2 to 2 of 2" in second
        assert "the next ones" not in second
        found = {slug for slug in ("acme", "initech") for text in (first, second) if f"/ops/tenants/{slug}/" in text}
        assert found == {"acme", "initech"}
        assert "All 2 tenants" in text_of(browser.get("/ops/evidence/reach/?text=shared&skip=500"))
        for wrong in ("-1", "x", "9" * 30, "%00", "²"):
            assert "Tenants 1 to 1 of 2" in text_of(browser.get(f"/ops/evidence/reach/?text=shared&skip={wrong}"))

    def test_stops_just_the_agents_that_used_it(self, acme: Tenant, initech: Tenant, browser: Client) -> None:
        keep(acme, span(watermaster__vector_namespace="docs", gen_ai__agent__name="planner"))
        keep(acme, span(watermaster__vector_namespace="own", gen_ai__agent__name="other"))
        keep(initech, span(watermaster__vector_namespace="docs", gen_ai__agent__name="seeker"))
        form = {"text": "docs", "preset": "Misbehaving agent", "more": "", "mode": "STOP_NEW", "extent": "agents"}

        stale = browser.post("/ops/evidence/reach/stop/", form | {"seen": "3"})
        answer = browser.post("/ops/evidence/reach/stop/", form | {"seen": "4"})

        assert stale.status_code == 422
        assert answer.status_code == 302
        stopped = {}
        for tenant in (acme, initech):
            with in_tenant(tenant.tag):
                stopped[tenant.slug] = list(KillSwitch.objects.values_list("level", "name"))
        assert stopped == {"acme": [("agent", "planner")], "initech": [("agent", "seeker")]}

    def test_stops_the_whole_tenants_where_that_is_asked(self, acme: Tenant, initech: Tenant, browser: Client) -> None:
        keep(acme, span(watermaster__vector_namespace="docs"))
        keep(initech, span())
        form = {"text": "docs", "preset": "Misbehaving agent", "mode": "STOP_NEW", "extent": "tenants", "seen": "1"}

        assert browser.post("/ops/evidence/reach/stop/", form).status_code == 302

        with in_tenant(acme.tag):
            assert KillSwitch.objects.get().level == "tenant"
        with in_tenant(initech.tag):
            assert not KillSwitch.objects.exists()

    def test_stops_no_crowd_of_agents_one_by_one(self, acme: Tenant, browser: Client) -> None:
        """Agents' names are what runtimes type: each would be a switch that every decision reads."""
        few, many = (
            [span(watermaster__vector_namespace=space, gen_ai__agent__name=f"a{n}") for n in range(count)]
            for space, count in (("few", AGENTS_MAX), ("many", AGENTS_MAX + 1))
        )
        keep(acme, *few, *many)
        form = {"preset": "Misbehaving agent", "mode": "STOP_NEW", "extent": "agents"}
        seen = {"few": AGENTS_MAX + 1, "many": AGENTS_MAX + 2}

        refused = browser.post("/ops/evidence/reach/stop/", form | {"text": "many", "seen": seen["many"]})
        with in_tenant(acme.tag):
            assert not KillSwitch.objects.exists()
        answer = browser.post("/ops/evidence/reach/stop/", form | {"text": "few", "seen": seen["few"]})

        assert refused.status_code == 422
        assert "as a whole" in refused.content.decode()
        assert answer.status_code == 302
        with in_tenant(acme.tag):
            assert KillSwitch.objects.count() == AGENTS_MAX
