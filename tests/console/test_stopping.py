"""Stopping a tenant, a part of one, or the platform, from the console."""

from collections.abc import Iterator

import pytest
from django.test import Client

from accounts.models import OperatorRole, User
from kernel.ids import mint_wire_id
from kernel.tenancy import in_tenant
from telemetry.models import AuditEntry
from tenants.models import PlatformSwitch, Tenant
from tests.support.books import Books
from tests.support.console import DOLLAR, person, signed_in
from tests.support.owner import delete_shared

STOP = "/ops/tenants/acme/stop/"
RESUME = "/ops/tenants/acme/resume/"
NOW = {"preset": "Runaway spend", "more": "", "mode": "STOP_NEW"}


@pytest.fixture
def funded(books: Books) -> Books:
    books.add_budget(allocated=100 * DOLLAR)
    return books


@pytest.fixture
def shared(database: None) -> Iterator[None]:
    """The platform's switches are nobody's alone: gone after the test."""
    yield
    delete_shared(PlatformSwitch.objects.all())


def text_of(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, address
    return answer.content.decode()


class TestStopTenant:
    def test_asks_for_nothing_that_has_no_answer_yet(self, funded: Books, browser: Client) -> None:
        text = text_of(browser, STOP)

        assert '<option value="Runaway spend" selected>' in text
        assert '<option value="STOP_NEW" selected>' in text
        assert "Stop now" in text

    def test_refuses_the_next_call_and_proves_it(self, funded: Books, browser: Client) -> None:
        hold = funded.ask("reserve", amount=3 * DOLLAR)

        answer = browser.post(STOP, NOW, follow=True)
        text = answer.content.decode()

        assert answer.redirect_chain == [(STOP, 302)]
        assert 'id="act"' in text
        assert "Acme Corporation is stopped" in text
        assert mint_wire_id("dec", funded.tenant.tag, hold.id) in text
        assert "$3.00" in text
        assert ">Resume</button>" in text
        assert funded.ask("reserve", amount=1).status == "KILL_SWITCH"

    def test_gives_back_what_is_held_where_that_is_asked(self, funded: Books, browser: Client) -> None:
        funded.ask("reserve", amount=3 * DOLLAR)
        funded.ask("reserve", amount=2 * DOLLAR)

        text = browser.post(STOP, NOW | {"mode": "CANCEL_HOLDS"}, follow=True).content.decode()

        assert "2 holds" in text
        assert funded.budget().reserved == 0

    def test_cancels_the_holds_later_and_keeps_the_reason(self, funded: Books, browser: Client) -> None:
        funded.ask("reserve", amount=3 * DOLLAR)
        text = browser.post(STOP, NOW | {"more": "loop in invoice-bot"}, follow=True).content.decode()

        assert "Cancel the holds too" in text
        assert 'value="loop in invoice-bot"' in text

        text = browser.post(
            STOP, {"preset": "Runaway spend", "more": "loop in invoice-bot", "mode": "CANCEL_HOLDS"}, follow=True
        ).content.decode()

        assert "1 hold" in text
        assert "Cancel the holds too" not in text

    def test_writes_down_who_and_why(self, funded: Books, browser: Client, olive: User) -> None:
        browser.post(STOP, NOW | {"more": "a loop"})

        with in_tenant(funded.tenant.tag):
            entry = AuditEntry.objects.get(action="kill_switch.thrown")
        assert (entry.actor, entry.reason) == (olive.email, "Runaway spend: a loop")
        assert entry.actor_type == "admin_on_behalf_of"

    def test_is_safe_to_repeat(self, funded: Books, browser: Client) -> None:
        for _ in range(2):
            assert browser.post(STOP, NOW).status_code == 302

        with in_tenant(funded.tenant.tag):
            assert AuditEntry.objects.filter(action__startswith="kill_switch.").count() == 1

    def test_tells_the_directory(self, funded: Books, browser: Client) -> None:
        browser.post(STOP, NOW)
        assert Tenant.objects.get(slug="acme").stopped_at is not None

        browser.post(RESUME, {"reason": ""})
        assert Tenant.objects.get(slug="acme").stopped_at is None

    def test_refuses_a_reason_that_was_not_offered_and_keeps_the_form(self, funded: Books, browser: Client) -> None:
        answer = browser.post(STOP, NOW | {"preset": "Because", "more": "typed"})

        assert answer.status_code == 422
        assert b'value="typed"' in answer.content
        assert funded.ask("reserve", amount=1).verdict == "ALLOW"

    def test_is_not_for_viewers_nor_for_members(self, funded: Books, ada: User) -> None:
        with person("vic", OperatorRole.VIEWER) as viewer:
            assert signed_in(viewer).post(STOP, NOW).status_code == 403
        assert signed_in(ada).post("/t/acme/stop/", NOW).status_code == 403
        assert funded.ask("reserve", amount=1).verdict == "ALLOW"


class TestResumeTenant:
    def test_lets_it_work_again(self, funded: Books, browser: Client) -> None:
        browser.post(STOP, NOW)

        answer = browser.post(RESUME, {"reason": "mended"}, follow=True)

        assert "Acme Corporation works again." in answer.content.decode()
        assert funded.ask("reserve", amount=1).verdict == "ALLOW"

    def test_says_so_when_somebody_was_faster(self, funded: Books, browser: Client) -> None:
        answer = browser.post(RESUME, {"reason": ""}, follow=True)

        assert "was not stopped" in answer.content.decode()


class TestSwitches:
    def test_stops_one_agent_and_lifts_it(self, funded: Books, browser: Client) -> None:
        part = NOW | {"level": "agent", "name": "triage"}
        triage = {"suffixes": ["", "/agent:triage"], "subject": {"tenant": "acme", "agent": "triage"}}

        text = browser.post("/ops/tenants/acme/switches/throw/", part, follow=True).content.decode()

        assert "Agent triage of Acme Corporation is stopped." in text
        assert "?level=agent&amp;name=triage" in text
        assert funded.ask("reserve", amount=1, **triage).status == "KILL_SWITCH"
        assert funded.ask("reserve", amount=1).verdict == "ALLOW"

        text = browser.post(
            "/ops/tenants/acme/switches/lift/", {"level": "agent", "name": "triage", "reason": ""}, follow=True
        ).content.decode()

        assert "Agent triage works again." in text
        assert funded.ask("reserve", amount=1, **triage).verdict == "ALLOW"

    def test_names_what_is_wrong_with_a_name(self, funded: Books, browser: Client) -> None:
        answer = browser.post("/ops/tenants/acme/switches/throw/", NOW | {"level": "agent", "name": "a b"})

        assert answer.status_code == 422
        assert b"must be 1 to 128 characters" in answer.content

    def test_are_shown_to_members_without_buttons(self, funded: Books, browser: Client, ada: User) -> None:
        browser.post("/ops/tenants/acme/switches/throw/", NOW | {"level": "tool", "name": "<script>"})

        text = text_of(signed_in(ada), "/t/acme/switches/")

        assert "Tool &lt;script&gt;" in text
        assert "Lift" not in text


class TestPlatformStop:
    def test_stops_every_tenant_and_says_how_far_it_came(self, funded: Books, browser: Client, shared: None) -> None:
        funded.ask("reserve", amount=DOLLAR)
        everything = NOW | {"level": "platform", "name": "", "mode": "CANCEL_HOLDS"}

        text = browser.post("/ops/stops/new/", everything).content.decode()

        assert 'id="act"' in text
        assert "The whole platform is stopped" in text
        assert "1 hold" in text
        assert funded.ask("reserve", amount=1).status == "KILL_SWITCH"

        answer = browser.post("/ops/stops/lift/", {"level": "platform", "name": "", "reason": ""}, follow=True)

        assert "works again" in answer.content.decode()
        assert funded.ask("reserve", amount=1).verdict == "ALLOW"

    def test_names_a_model(self, funded: Books, browser: Client, shared: None) -> None:
        model = NOW | {"level": "model", "name": "openai:gpt-5.6"}

        assert "Model openai:gpt-5.6 is stopped" in browser.post("/ops/stops/new/", model).content.decode()
        assert "?level=model&amp;name=openai%3Agpt-5.6" in text_of(browser, "/ops/stops/")
        assert "Model openai:gpt-5.6" in text_of(browser, "/ops/tenants/acme/switches/")

    def test_is_not_for_viewers(self, database: None) -> None:
        with person("vic", OperatorRole.VIEWER) as viewer:
            client = signed_in(viewer)
            assert client.get("/ops/stops/").status_code == 200
            assert client.get("/ops/stops/new/").status_code == 403
