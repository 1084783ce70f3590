"""Alerts on pages: seen by whoever may look, put off and resolved by whoever may, and told on the overview."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from accounts.models import User
from budgets.models import Alert
from budgets.models.choices import AlertKind, AlertState, Severity
from budgets.services.alert_findings import Finding
from budgets.services.alerts import raise_alert
from kernel.ids import uuid7
from kernel.tenancy import in_tenant
from telemetry.models import AuditEntry, OutboxEvent
from tenants.models import TenantStanding
from tests.support.books import Books
from tests.support.console import DOLLAR, day_bounds, noted, signed_in
from tests.support.owner import as_owner

HOSTILE = "<script>alert(1)</script>"
PAGE = "/t/acme/alerts/"


def text_of(answer: Any) -> str:
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", unescape(answer.content.decode())))


@pytest.fixture
def owner(ada: User) -> Client:
    return signed_in(ada)


@pytest.fixture
def near(books: Books) -> Books:
    """A budget of which 95 % are held: nobody asks how long the rest lasts."""
    books.add_budget(allocated=100 * DOLLAR, **day_bounds(books.tenant))
    assert books.ask("reserve", amount=95 * DOLLAR).status == "OK"
    noted(books)
    return books


def one(books: Books, **wanted: Any) -> Alert:
    with in_tenant(books.tenant.tag):
        return Alert.objects.filter(kind=AlertKind.BUDGET_THRESHOLD, **wanted).order_by("-threshold")[0]


def open_count(books: Books) -> int:
    with in_tenant(books.tenant.tag):
        return Alert.objects.filter(kind=AlertKind.BUDGET_THRESHOLD, state=AlertState.OPEN).count()


def raised(books: Books, summary: str) -> None:
    finding = Finding(
        kind=AlertKind.EVIDENCE_LEAK, subject=summary, period="p", severity=Severity.CRITICAL, summary=summary
    )
    raise_alert(tag=books.tenant.tag, finding=finding)


class TestList:
    def test_says_what_will_appear(self, books: Books, owner: Client) -> None:
        assert "Nothing is open." in text_of(owner.get(PAGE))

    def test_shows_of_a_budget_only_the_highest_mark(self, near: Books, owner: Client) -> None:
        text = text_of(owner.get(PAGE))

        assert open_count(near) == 2
        assert "has reached 95% of its $100.00 for today." in text
        assert "has reached 80%" not in text

    def test_has_the_worst_first_and_what_is_over_below(self, near: Books, owner: Client) -> None:
        raised(near, "Something critical.")
        as_owner(near.tenant.tag, "UPDATE budget SET allocated = allocated * 10")
        noted(near)

        text = text_of(owner.get(PAGE))

        assert text.index("Something critical.") < text.index("Before") < text.index("has reached 95%")
        assert "Recovered It no longer holds." in text

    def test_escapes_what_others_wrote(self, books: Books, owner: Client) -> None:
        raised(books, HOSTILE)

        assert HOSTILE not in owner.get(PAGE).content.decode()

    def test_offers_nothing_to_a_viewer(self, near: Books, ben: User) -> None:
        assert "Resolve…" not in text_of(signed_in(ben).get(PAGE))

    def test_is_paged(self, books: Books, owner: Client) -> None:
        for number in range(51):
            raised(books, f"Number {number:02}.")
        as_owner(books.tenant.tag, "UPDATE alert SET state = 'RECOVERED', ended_at = now()")
        first = owner.get(PAGE).content.decode()
        (address,) = re.findall(r'href="(\?before=[^"]+)"', first)

        assert "Number 50." in first
        assert "Number 00." not in first
        assert "Number 00." in text_of(owner.get(PAGE + address))


class TestPuttingOff:
    def test_keeps_it_from_everybody_until_then(self, near: Books, owner: Client, browser: Client) -> None:
        address = f"{PAGE}{one(near).pk}/snooze/"
        assert "has reached 95%" in text_of(browser.get("/ops/"))

        answer = owner.post(address, {"hours": "4", "reason": "Planned load test"})

        assert answer.status_code == 302
        assert "Put off until" in text_of(owner.get(PAGE))
        assert "put off until" in text_of(owner.get(PAGE))
        assert "has reached 95%" not in text_of(browser.get("/ops/"))
        with in_tenant(near.tenant.tag):
            assert AuditEntry.objects.get(action="alert.snoozed").reason == "Planned load test"
            assert OutboxEvent.objects.filter(event_type="custom.alert.snoozed").count() == 1

    def test_ends_by_itself(self, near: Books, owner: Client, browser: Client) -> None:
        owner.post(f"{PAGE}{one(near).pk}/snooze/", {"hours": "1", "reason": "Later"})
        told_before = one(near).tell_at
        as_owner(near.tenant.tag, "UPDATE alert SET snoozed_until = now() - interval '1 second'")

        noted(near)

        alert = one(near)
        assert (alert.snoozed_until, alert.state) == (None, AlertState.OPEN)
        assert alert.tell_at > told_before
        assert "has reached 95%" in text_of(browser.get("/ops/"))

    def test_needs_a_reason(self, near: Books, owner: Client) -> None:
        answer = owner.post(f"{PAGE}{one(near).pk}/snooze/", {"hours": "4"})

        assert answer.status_code == 422
        assert one(near).snoozed_until is None

    def test_of_what_ended_meanwhile_is_said(self, near: Books, owner: Client) -> None:
        address = f"{PAGE}{one(near).pk}/snooze/"
        owner.post(f"{PAGE}{one(near).pk}/resolve/", {"reason": "Done"})

        answer = owner.post(address, {"hours": "4", "reason": "Later"}, follow=True)

        assert "This alert has ended meanwhile. Nothing was done." in text_of(answer)


class TestResolving:
    def test_ends_all_marks_of_the_budget_for_its_period(self, near: Books, owner: Client, browser: Client) -> None:
        alert = one(near)

        owner.post(f"{PAGE}{alert.pk}/resolve/", {"reason": "Raised next week"})
        near.ask("event", amount=1)
        noted(near)

        assert open_count(near) == 0
        assert "Resolved Raised next week — ada@example.test" in text_of(owner.get(PAGE))
        assert "has reached" not in text_of(browser.get("/ops/"))
        with in_tenant(near.tenant.tag):
            assert AuditEntry.objects.filter(action="alert.raised", after__kind=alert.kind).count() == 2

    def test_twice_is_once(self, near: Books, owner: Client) -> None:
        address = f"{PAGE}{one(near).pk}/resolve/"
        for reason in ("First", "Second"):
            assert owner.post(address, {"reason": reason}).status_code == 302

        assert one(near).end_reason == "First"
        with in_tenant(near.tenant.tag):
            assert AuditEntry.objects.filter(action="alert.resolved").count() == 1

    def test_is_not_for_a_viewer(self, near: Books, ben: User) -> None:
        assert signed_in(ben).post(f"{PAGE}{one(near).pk}/resolve/", {"reason": "No"}).status_code == 403
        assert open_count(near) == 2

    def test_does_not_reach_into_another_tenant(self, near: Books, initech: Any, browser: Client) -> None:
        address = f"/ops/tenants/initech/alerts/{one(near).pk}/resolve/"

        assert browser.post(address, {"reason": "No"}).status_code == 404
        assert open_count(near) == 2


class TestRules:
    def test_of_a_kind_are_shown_and_changed(self, books: Books, owner: Client) -> None:
        assert "Budget use 80%, 95%, 100% Watched" in text_of(owner.get(f"{PAGE}rules/"))

        answer = owner.post(
            f"{PAGE}rules/budget_threshold/", {"watch": "on", "thresholds": "50, 99.5%", "reason": "Earlier"}
        )

        assert answer.status_code == 302
        assert "Budget use 50%, 99.5% Watched" in text_of(owner.get(f"{PAGE}rules/"))
        with in_tenant(books.tenant.tag):
            assert AuditEntry.objects.get(action="alert_rule.changed").after == {
                "is_on": True,
                "thresholds": [500_000, 995_000],
            }

    @pytest.mark.parametrize(
        ("kind", "typed", "error"),
        [
            ("budget_threshold", "", "Write one to 10 numbers."),
            ("budget_threshold", "eighty", "Write numbers with commas between them"),
            ("budget_threshold", "NaN", "Write numbers with commas between them"),
            ("budget_threshold", "Infinity", "Write numbers with commas between them"),
            ("budget_threshold", "80.00001", "Write numbers with commas between them"),
            ("budget_threshold", "0.5", "Each is between 1% and 1000%."),
            ("budget_threshold", "-80", "Each is between 1% and 1000%."),
            ("burn_rate", "1.4", "Each is between 1.5× and 1000×."),
            ("denial_spike", "101", "Each is between 1% and 100%."),
            ("exhaustion_forecast", "0.1", "Each is between 0.25 h and 1440 h."),
            ("key_expiring", "366", "365 d."),
        ],
    )
    def test_that_mean_nothing_are_refused_in_a_sentence(
        self, books: Books, owner: Client, kind: str, typed: str, error: str
    ) -> None:
        answer = owner.post(f"{PAGE}rules/{kind}/", {"watch": "on", "thresholds": typed, "reason": "Try"})

        assert answer.status_code == 422
        assert error in unescape(answer.content.decode())

    def test_of_a_kind_without_marks_are_on_or_off(self, books: Books, owner: Client) -> None:
        owner.post(f"{PAGE}rules/evidence_leak/", {"watch": "off", "reason": "Too loud"})

        assert "Evidence of a leak — Off" in text_of(owner.get(f"{PAGE}rules/"))

    def test_of_a_budget_take_the_place_of_the_tenants_and_go_again(self, near: Books, owner: Client) -> None:
        address = f"{PAGE}budgets/{near.budget().id}/"
        owner.post(address, {"watch": "on", "thresholds": "99", "reason": "Quiet"})
        noted(near)
        assert "tenant:acme USD 99%" in text_of(owner.get(f"{PAGE}rules/"))
        assert open_count(near) == 0

        owner.post(f"{address}drop/", {"reason": "As before"})
        noted(near)

        assert "tenant:acme USD as the tenant" in text_of(owner.get(f"{PAGE}rules/"))
        assert open_count(near) == 2

    @pytest.mark.parametrize("address", ["rules/nothing/", f"budgets/{'0' * 8}-0000-0000-0000-{'0' * 12}/"])
    def test_of_what_does_not_exist_are_404(self, books: Books, owner: Client, address: str) -> None:
        assert owner.get(PAGE + address).status_code == 404


class TestOverview:
    def test_leads_to_the_alerts(self, near: Books, browser: Client) -> None:
        content = browser.get("/ops/").content.decode()

        assert 'href="/ops/tenants/acme/alerts/"' in content

    def test_does_not_warn_of_a_notice(self, books: Books, browser: Client) -> None:
        books.add_budget(allocated=100 * DOLLAR, **day_bounds(books.tenant))
        books.ask("reserve", amount=85 * DOLLAR)
        noted(books)

        assert open_count(books) == 1
        assert "has reached 80%" not in text_of(browser.get("/ops/"))


class TestVisit:
    def test_comes_again_when_a_snooze_ends(self, near: Books, owner: Client) -> None:
        now = datetime.now(UTC)
        owner.post(f"{PAGE}{one(near).pk}/snooze/", {"hours": "1", "reason": "Later"})

        noted(near)

        revisit_at = TenantStanding.objects.get(tag=near.tenant.tag).revisit_at
        assert revisit_at is not None
        assert revisit_at <= now + timedelta(hours=1, minutes=1)


class TestChannels:
    ADDRESS = "https://hooks.slack.com/services/T0123ABCD/B0123ABCD/SoSecretToken123456789ab"

    def form(self, **changes: str) -> dict[str, str]:
        values = {"kind": "slack", "name": "on-call", "address": self.ADDRESS, "severity_min": "2"}
        return values | {"reason": "So that we know", "key": str(uuid7())} | changes

    def test_are_made_and_never_show_their_address(self, books: Books, owner: Client) -> None:
        assert "Nobody is told" in text_of(owner.get(f"{PAGE}channels/"))

        answer = owner.post(f"{PAGE}channels/new/", self.form(), follow=True)

        text = text_of(answer)
        pages = text + text_of(owner.get(f"{PAGE}channels/")) + text_of(owner.get("/t/acme/audit/"))
        assert "on-call Slack Slack workspace T0123ABCD Warning never Not used yet" in text
        assert "SoSecretToken" not in pages

    @pytest.mark.parametrize(
        ("changes", "error"),
        [
            ({"address": "https://example.test/"}, "Paste the address of an incoming webhook"),
            ({"kind": "email", "address": "ada@example.test"}, "Select a valid choice"),
            ({"kind": "webhook", "address": "https://127.0.0.1/"}, "must lead to a public address"),
            ({"reason": ""}, "This field is required."),
        ],
    )
    def test_that_lead_nowhere_are_refused(
        self, books: Books, owner: Client, changes: dict[str, str], error: str
    ) -> None:
        answer = owner.post(f"{PAGE}channels/new/", self.form(**changes))

        assert answer.status_code == 422
        assert error in unescape(answer.content.decode())

    def test_are_tested_switched_and_removed(self, books: Books, owner: Client) -> None:
        form = self.form()
        owner.post(f"{PAGE}channels/new/", form)
        address = f"{PAGE}channels/{form['key']}/"

        owner.post(f"{address}test/", {"reason": "Does it work?"})
        assert "a test is on its way" in text_of(owner.get(f"{PAGE}channels/"))
        owner.post(f"{address}switch/", {"reason": "Too loud", "wanted": "off"})
        owner.post(f"{address}switch/", {"reason": "Too loud", "wanted": "off"})
        assert "Off a test" in text_of(owner.get(f"{PAGE}channels/"))
        owner.post(f"{address}remove/", {"reason": "Gone"})
        assert "Nobody is told" in text_of(owner.get(f"{PAGE}channels/"))

        with in_tenant(books.tenant.tag):
            actions = AuditEntry.objects.filter(action__startswith="alert_channel.").order_by("id")
            assert list(actions.values_list("action", flat=True)) == [
                "alert_channel.added",
                "alert_channel.tested",
                "alert_channel.switched_off",
                "alert_channel.removed",
            ]

    def test_are_nobodys_where_the_installation_allows_none(
        self, books: Books, owner: Client, settings: Settings
    ) -> None:
        settings.ALERT_CHANNELS = []

        text = text_of(owner.get(f"{PAGE}channels/"))
        assert "This installation speaks to nobody" in text
        assert "New channel…" not in text

    def test_ask_for_no_address_that_the_installation_does_not_speak_to(
        self, books: Books, owner: Client, settings: Settings
    ) -> None:
        settings.ALERT_CHANNELS, settings.SENDS_MAIL = ["email", "slack"], False

        text = text_of(owner.get(f"{PAGE}channels/new/"))
        assert "The address of Slack's incoming webhook. It is sealed." in text
        assert "E-mail" not in text


class TestOwnOverview:
    def test_says_the_worst_and_leads_to_all(self, near: Books, owner: Client) -> None:
        answer = owner.get("/t/acme/")

        assert "The tenant's own budget has reached 95% of its $100.00 for today. See the alert" in text_of(answer)
        assert f'href="{PAGE}"' in answer.content.decode()
