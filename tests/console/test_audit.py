"""The audit trail in the console, of a tenant and of the platform."""

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from django.test import Client

from accounts.models import User
from kernel.actor import Actor
from kernel.tenancy import in_tenant
from telemetry.services.audit import record
from tests.support.books import Books
from tests.support.console import DOLLAR, signed_in
from tests.support.management import platform_key, tenant_key

HERE = "/ops/tenants/acme/audit/"
EVE = Actor(name="eve@example.test", actor_type="admin", reason="=1+1")


def text_of(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, address
    return answer.content.decode()


def csv_of(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, address
    return b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]  # it streams


def write(books: Books, action: str, *, at: datetime | None = None, target: str = "key k1") -> None:
    with in_tenant(books.tenant.tag):
        record(actor=EVE, action=action, target=target, at=at or datetime.now(UTC), after={"n": 1, "<b>": "x"})


class TestTrail:
    def test_shows_who_did_what_and_why(self, books: Books, browser: Client) -> None:
        write(books, "key.rotated")

        text = text_of(browser, HERE)

        assert "eve@example.test" in text
        assert "<code>key.rotated</code>" in text
        assert "=1+1" in text
        assert "n 1, &lt;b&gt; x" in text

    def test_shows_what_is_not_as_it_was(self, books: Books, browser: Client) -> None:
        with in_tenant(books.tenant.tag):
            record(
                actor=EVE,
                action="x",
                target="x",
                at=datetime.now(UTC),
                before={"status": "ACTIVE", "same": 1},
                after={"status": "SUSPENDED", "same": 1},
            )

        text = text_of(browser, HERE)

        assert "status ACTIVE → SUSPENDED" in text
        assert "same 1" not in text

    def test_says_amounts_in_their_unit(self, books: Books, browser: Client) -> None:
        with in_tenant(books.tenant.tag):
            record(
                actor=EVE,
                action="x",
                target="tenant:acme USD_MICROCENTS",
                at=datetime.now(UTC),
                before={"allocated": 100_000_000, "seen": 7},
                after={"allocated": 3_100_000_000, "seen": 8},
            )

        text = text_of(browser, HERE)

        assert "allocated $1.00 → $31.00" in text
        assert "seen 7 → 8" in text

    def test_says_the_names_of_keys(self, books: Books, browser: Client, ada: User) -> None:
        key_id = tenant_key(books.tenant).key.key_id
        platform_id = platform_key().key.key_id
        for name in (key_id, platform_id):
            with in_tenant(books.tenant.tag):
                actor = Actor(name=name, actor_type="api_key")
                record(actor=actor, action="by.key", target=key_id, at=datetime.now(UTC))

        text = " ".join(text_of(browser, f"{HERE}?action=by.key").split())
        rows = [json.loads(line) for line in csv_of(browser, f"{HERE[:-1]}.csv?action=by.key&form=jsonl").splitlines()]
        own = " ".join(text_of(signed_in(ada), "/t/acme/audit/?action=by.key").split())

        assert f"{platform_id} (olive)" in text
        assert f"{key_id} (test)" in text
        assert f"<code>{key_id}</code> (test)" in text
        assert [(row["key_name"], row["target_name"]) for row in rows] == [("olive", "test"), ("test", "test")]
        # Whose names the platform's keys have is the platform's affair.
        assert f"{key_id} (test)" in own
        assert "(olive)" not in own

    def test_is_searched_by_who_what_and_target(self, books: Books, browser: Client) -> None:
        write(books, "key.rotated")
        write(books, "plan.changed", target="acme")

        assert "key.rotated" not in text_of(browser, f"{HERE}?action=PLAN")
        assert "plan.changed" not in text_of(browser, f"{HERE}?target=k1")
        assert "matches this search" in text_of(browser, f"{HERE}?actor=nobody")

    def test_is_searched_by_reason_and_by_request_or_trace(self, books: Books, browser: Client) -> None:
        for number, reason in enumerate(("Quarter is over", "It leaked")):
            actor = Actor(
                name="ada", actor_type="admin", reason=reason, request_id=f"req_{number}", trace_id=f"{number}" * 32
            )
            with in_tenant(books.tenant.tag):
                record(actor=actor, action=f"act.no{number}", target="x", at=datetime.now(UTC))

        for query in ("reason=QUARTER", "reference=req_0", f"reference={'0' * 32}"):
            text = text_of(browser, f"{HERE}?{query}")
            assert ("act.no0</code>" in text, "act.no1</code>" in text) == (True, False)
        # An id is whole, or another one.
        assert "matches this search" in text_of(browser, f"{HERE}?reference=req_")

    def test_takes_days_of_the_tenants_time_zone_and_both_ends(self, books: Books, browser: Client) -> None:
        # Half past midnight in Kolkata is the evening before in UTC.
        early = datetime(2026, 3, 10, 0, 30, tzinfo=ZoneInfo("Asia/Kolkata"))
        write(books, "early.bird", at=early)

        assert "early.bird" in text_of(browser, f"{HERE}?from=2026-03-10&to=2026-03-10")
        assert "early.bird" not in text_of(browser, f"{HERE}?to=2026-03-09")
        assert "early.bird" not in text_of(browser, f"{HERE}?from=2026-03-11")

    @pytest.mark.parametrize("query", ["from=x&to=9999-12-31", "before=x~y", "actor=%00", "from=0001-01-01"])
    def test_is_not_hurt_by_what_makes_no_sense(self, books: Books, browser: Client, query: str) -> None:
        text_of(browser, f"{HERE}?{query}")

    def test_goes_on_where_the_page_before_ended(
        self, books: Books, browser: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tenants.console.audit._LINES_PER_PAGE", 1)
        for number in range(3):
            write(books, f"act.no{number}", at=datetime(2026, 3, 10, tzinfo=UTC) + timedelta(days=number))
        address, seen = f"{HERE}?action=act.no", []
        for _ in range(3):
            text = text_of(browser, address)
            seen += [number for number in range(3) if f"act.no{number}</code>" in text]
            if "Older ones" in text:
                address = HERE + text.split("Older ones")[0].rpartition('href="')[2].split('"')[0].replace("&amp;", "&")

        assert seen == [2, 1, 0]

    def test_is_a_file_of_all_of_it_with_formulas_as_text(
        self, books: Books, browser: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tenants.console.audit._LINES_A_READ", 1)
        write(books, "one.act")
        write(books, "two.act")

        text = csv_of(browser, "/ops/tenants/acme/audit.csv?action=.act")

        assert len(text.splitlines()) == 3
        assert "'=1+1" in text

    def test_is_a_file_of_json_lines_with_what_changed_as_it_was(
        self, books: Books, browser: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tenants.console.audit._LINES_A_READ", 1)
        at = datetime(2026, 3, 10, 9, 30, tzinfo=UTC)
        write(books, "one.act", at=at)
        write(books, "two.act", at=at + timedelta(seconds=1))

        answer = browser.get("/ops/tenants/acme/audit.csv?action=.act&form=jsonl")
        text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]  # it streams

        assert answer["Content-Disposition"] == 'attachment; filename="audit-acme.jsonl"'
        newest, oldest = (json.loads(line) for line in text.splitlines())
        assert (newest["action"], oldest["action"], oldest["at"]) == ("two.act", "one.act", at.isoformat())
        assert (oldest["reason"], oldest["before"], oldest["after"]) == ("=1+1", None, {"n": 1, "<b>": "x"})
        assert UUID(oldest["id"]).version == 7
        assert csv_of(browser, "/ops/audit.csv?action=.act&form=jsonl") == ""

    def test_is_each_tenants_own(self, books: Books, ada: User) -> None:
        write(books, "key.rotated")

        assert "key.rotated" in text_of(signed_in(ada), "/t/acme/audit/")


class TestPlatformTrail:
    def test_does_not_show_what_was_done_to_a_tenant(self, books: Books, browser: Client) -> None:
        books.add_budget(allocated=DOLLAR)
        write(books, "only.acme")

        assert "only.acme" not in text_of(browser, "/ops/audit/")
        assert "only.acme" not in csv_of(browser, "/ops/audit.csv")


class TestWebhooks:
    def test_shows_the_outbox(self, books: Books, browser: Client, ada: User) -> None:
        browser.post("/ops/tenants/acme/stop/", {"preset": "Runaway spend", "more": "", "mode": "STOP_NEW"})

        text = text_of(signed_in(ada), "/t/acme/webhooks/")

        assert "<code>kill_switch.thrown</code>" in text
        assert "waiting in the outbox" in text
        assert "No event matches" in text_of(browser, "/ops/tenants/acme/webhooks/?state=handed-out")
        assert "kill_switch.thrown" in text_of(browser, "/ops/tenants/acme/webhooks/?type=KILL&state=waiting")

    def test_the_platform_has_one_too(self, browser: Client) -> None:
        text_of(browser, "/ops/webhooks/?before=nonsense")
