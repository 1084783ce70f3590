"""The router's accuracy as an indicator: labels of real decisions, an alarm once for each breach, and the switch."""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from budgets.models import PolicyVersion, RouterLabel
from budgets.services.plan_catalogue import CATALOGUE
from budgets.services.policies import NewPolicy, PolicyKind, save_policy
from budgets.services.ruleset import current_document
from kernel.actor import Actor
from kernel.ids import Tag, mint_wire_id, uuid7
from kernel.tenancy import in_tenant
from routing.services.catalogue_prices import ensure_catalogue_prices
from routing.services.router_watch import WATCH, RouterReport, router_report, router_reports, watch_router
from telemetry.models import OutboxEvent
from tenants.models import Tenant
from tests.support.books import Books
from tests.support.bursts import burst
from tests.support.management import Caller, as_platform, as_tenant
from tests.support.plans import a_plan, tenant_on
from tests.support.rules import LARGE, SMALL, rule

OLIVE = Actor(name="olive", actor_type="admin", reason="a look at it")
MEDIUM = SMALL | {"model": "gpt-4.1"}


@pytest.fixture
def books(acme: Tenant) -> Books:
    books = Books(acme)
    books.add_budget(allocated=10**12)
    put_rules(books)
    return books


@pytest.fixture
def ada(acme: Tenant) -> Caller:
    return as_tenant(acme)


def put_rules(books: Books, **parts: Any) -> None:
    tiers = {"small": ["openai:gpt-4o-mini"], "medium": ["openai:gpt-4.1"], "large": ["openai:gpt-4o"]}
    models = {"openai:gpt-4o-mini": SMALL, "openai:gpt-4.1": MEDIUM, "openai:gpt-4o": LARGE}
    rule(books, tiers=tiers, models=models, **parts)


def decide(books: Books, count: int) -> list[str]:
    """Wire ids of so many decisions that were routed to the small tier."""
    operations = [
        books.operation("reserve", endpoint="admit", facts={"input_tokens": 10}, idem=uuid7().hex, amount=None)
        for _ in range(count)
    ]
    answers = books.ask_all(*operations)
    assert {answer.status for answer in answers} == {"OK"}, answers[0]
    return [mint_wire_id("dec", books.tenant.tag, answer.id) for answer in answers]


def label(caller: Caller, ids: list[str], needed: str = "small") -> Any:
    response = caller.post(
        "tenants/acme/router/labels", {"labels": [{"decision_id": each, "needed": needed} for each in ids]}
    )
    assert response.status_code == 200, response.json()
    return response.json()


def told(books: Books) -> list[str]:
    with in_tenant(books.tenant.tag):
        rows = OutboxEvent.objects.filter(event_type__startswith="router").order_by("id")
        return list(rows.values_list("event_type", flat=True))


def rules_of(books: Books) -> dict[str, Any]:
    with in_tenant(books.tenant.tag):
        return current_document()


class TestLabels:
    def test_give_the_accuracy_with_its_interval(self, ada: Caller, books: Books) -> None:
        ids = decide(books, 20)
        label(ada, ids[:15])

        shown = label(ada, ids[15:], "large")["accuracy"]

        assert (shown["labels"], shown["correct"], shown["accuracy_ppm"]) == (20, 15, 750_000)
        assert (shown["under_routed_ppm"], shown["over_routed_ppm"]) == (250_000, 0)
        # Wilson's interval of 15 in 20.
        assert (round(shown["low_ppm"], -2), round(shown["high_ppm"], -2)) == (531_300, 888_100)
        assert (shown["verdict"], shown["target_ppm"]) == ("unknown", 970_000)
        assert shown["switch"] == {"is_on": False, "since": None, "by": ""}
        assert ada.get("tenants/acme/router").json() == {"accuracy": shown, "model": None}

    def test_said_again_are_what_was_said_last(self, ada: Caller, books: Books) -> None:
        [one] = decide(books, 1)

        first, same, other = label(ada, [one]), label(ada, [one]), label(ada, [one], "large")

        assert [(each["added"], each["changed"]) for each in (first, same, other)] == [(1, 0), (0, 0), (0, 1)]
        with in_tenant(books.tenant.tag):
            assert list(RouterLabel.objects.values_list("chosen", "needed")) == [("small", "large")]

    def test_are_kept_all_or_none(self, ada: Caller, books: Books) -> None:
        [routed] = decide(books, 1)
        plain = books.ask("reserve", amount=5, idem="plain")
        other = mint_wire_id("dec", books.tenant.tag, plain.id)

        response = ada.post(
            "tenants/acme/router/labels",
            {"labels": [{"decision_id": each, "needed": "small"} for each in (routed, other)]},
        )

        assert (response.status_code, response.json()["details"]["field"]) == (400, "labels[1].decision_id")
        with in_tenant(books.tenant.tag):
            assert not RouterLabel.objects.exists()

    def test_of_what_is_no_decision_of_the_tenant_are_refused(self, ada: Caller, books: Books, initech: Tenant) -> None:
        [own] = decide(books, 1)
        forged = own[:-1] + ("0" if own[-1] != "0" else "1")
        unknown = mint_wire_id("dec", books.tenant.tag, uuid4())
        foreign = mint_wire_id("dec", initech.tag, uuid4())
        reservation = mint_wire_id("rsv", books.tenant.tag, uuid4())

        for decision_id, status in ((forged, 404), (unknown, 404), (foreign, 404), (reservation, 404), ("x", 404)):
            body = {"labels": [{"decision_id": decision_id, "needed": "small"}]}
            assert ada.post("tenants/acme/router/labels", body).status_code == status, decision_id
        assert as_tenant(initech).post("tenants/acme/router/labels", {"labels": []}).status_code == 400

    @pytest.mark.parametrize(
        ("labels", "field"),
        [
            ([], "labels"),
            ([{"decision_id": "x", "needed": "huge"}], "labels[0].needed"),
            ([{"decision_id": "x", "needed": "small"}] * 1_001, "labels"),
            ("x", "labels"),
            ([{"needed": "small"}], "labels[0].decision_id"),
        ],
    )
    def test_of_another_shape_are_refused(self, ada: Caller, books: Books, labels: Any, field: str) -> None:
        response = ada.post("tenants/acme/router/labels", {"labels": labels})

        assert (response.status_code, response.json()["details"]["field"]) == (400, field)

    def test_of_a_confined_key_are_of_its_own_scopes(self, books: Books, acme: Tenant) -> None:
        [one] = decide(books, 1)
        confined = as_tenant(acme, scopes=["tenant:acme/workspace:prod"])

        body = {"labels": [{"decision_id": one, "needed": "small"}]}

        assert confined.post("tenants/acme/router/labels", body).status_code == 404
        assert confined.get("tenants/acme/router").status_code == 403


class TestDrift:
    def test_is_told_once_and_sends_all_to_medium(self, ada: Caller, books: Books) -> None:
        ids = decide(books, 120)
        assert not label(ada, ids[:90])["is_switched"]
        assert told(books) == []

        drifted = label(ada, ids[90:105], "large")

        assert (drifted["is_switched"], drifted["accuracy"]["switch"]["is_on"]) == (True, True)
        assert drifted["accuracy"]["switch"]["by"] == WATCH.name
        assert told(books) == ["router.drifted"]
        assert rules_of(books)["force_tier"] == "medium"
        # More of the same changes nothing and is not told again.
        assert not label(ada, ids[105:], "large")["is_switched"]
        assert not watch_router(tag=books.tenant.tag)
        assert told(books) == ["router.drifted"]
        with in_tenant(books.tenant.tag):
            event = OutboxEvent.objects.get(event_type="router.drifted")
        assert event.payload["data"]["labels"] == 105
        assert event.payload["data"]["under_routed"] == 15

    def test_seen_by_many_at_once_is_told_once(self, ada: Caller, books: Books) -> None:
        ids = decide(books, 60)
        label(ada, ids[:29], "large")

        burst([partial(label, ada, [each], "large") for each in ids[29:35]])

        assert told(books) == ["router.drifted"]

    def test_ends_by_itself_after_enough_good_labels_of_what_was_chosen_unheeded(
        self, ada: Caller, books: Books
    ) -> None:
        label(ada, decide(books, 40), "large")
        assert told(books) == ["router.drifted"]
        # As the compiled rules say: everything goes to the middle, whatever the class says.
        put_rules(books, force_tier="medium")
        ids = decide(books, 117)

        early = label(ada, ids[:116])
        enough = label(ada, ids[116:])

        # What was sent to the middle is judged by what the router had chosen: the class's small tier.
        assert (early["accuracy"]["labels"], early["accuracy"]["correct"]) == (116, 116)
        assert (early["is_switched"], enough["is_switched"]) == (False, True)
        assert told(books) == ["router.drifted", "router.recovered"]
        assert "force_tier" not in rules_of(books)
        # It begins anew: what was said before does not count again.
        assert enough["accuracy"]["labels"] == 0

    def test_a_breach_after_a_recovery_is_told_again(self, ada: Caller, books: Books) -> None:
        label(ada, decide(books, 40), "large")
        put_rules(books, force_tier="medium")
        label(ada, decide(books, 117))
        put_rules(books)

        label(ada, decide(books, 40), "large")

        assert told(books) == ["router.drifted", "router.recovered", "router.drifted"]

    def test_a_switch_that_a_person_has_thrown_is_left_to_persons(self, ada: Caller, books: Books) -> None:
        with in_tenant(books.tenant.tag):
            new = NewPolicy(kind=PolicyKind.ROUTER_SWITCH, document={"is_on": True}, reason="I do not trust it")
            save_policy(new, actor=OLIVE)
        put_rules(books, force_tier="medium")

        label(ada, decide(books, 130))

        assert told(books) == []
        with in_tenant(books.tenant.tag):
            assert PolicyVersion.objects.filter(kind="router_switch").count() == 1
            assert router_report().switch.is_on

    def test_is_judged_by_the_newest_labels(self, ada: Caller, books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("routing.services.router_watch.WINDOW", 40)
        label(ada, decide(books, 400))

        assert label(ada, decide(books, 12), "large")["is_switched"]

    def test_reads_several_tenants_as_it_reads_one(self, ada: Caller, books: Books, initech: Tenant) -> None:
        def alone() -> dict[Tag, RouterReport]:
            found = {}
            for tag in (books.tenant.tag, initech.tag):
                with in_tenant(tag):
                    found[tag] = router_report()
            return found

        label(ada, decide(books, 35), "large")
        put_rules(books, force_tier="medium")
        label(ada, decide(books, 3))

        assert router_reports([books.tenant.tag, initech.tag]) == alone()
        assert alone()[books.tenant.tag].switch.is_on
        assert alone()[books.tenant.tag].accuracy.labels == 3
        assert alone()[initech.tag].accuracy.labels == 0

    def test_is_shown_to_operators_too(self, books: Books) -> None:
        assert as_platform().get("tenants/acme/router").status_code == 200


class TestInForce:
    """From a plan's routes to labels and back, with nothing in between put there by the test."""

    @pytest.fixture
    def pro(self, empty_book: None) -> Iterator[Books]:
        ensure_catalogue_prices(actor=OLIVE, now=datetime.now(UTC))
        defaults = next(plan.defaults for plan in CATALOGUE if plan.code == "pro")
        with tenant_on(a_plan(**defaults), slug="acme") as tenant:
            yield Books(tenant)

    def admit(self, books: Books, count: int) -> tuple[list[str], set[str]]:
        """Wire ids of so many requests of the class `deep`, and the tiers that they were sent to."""
        facts = {"input_tokens": 10, "max_output_tokens": 10, "class_hint": {"class": "deep", "confidence": 0.9}}
        answers = [books.ask("reserve", endpoint="admit", facts=facts, idem=uuid7().hex) for _ in range(count)]
        for answer in answers:
            assert answer.status == "OK", answer
            books.ask("release", target=answer.id, idem=uuid7().hex)
        tiers = {(answer.admission or {})["route"]["tier"] for answer in answers}
        return [mint_wire_id("dec", books.tenant.tag, answer.id) for answer in answers], tiers

    def test_a_router_that_drifts_is_taken_out_and_let_in_again(self, pro: Books) -> None:
        caller = as_tenant(pro.tenant)
        ids, tiers = self.admit(pro, 31)
        assert tiers == {"large"}

        assert label(caller, ids, "small")["is_switched"]

        ids, tiers = self.admit(pro, 117)
        assert tiers == {"medium"}
        # Large was right all the while, though nobody heeded it.
        assert label(caller, ids, "large")["is_switched"]
        _, tiers = self.admit(pro, 1)
        assert tiers == {"large"}
        assert told(pro) == ["router.drifted", "router.recovered"]
