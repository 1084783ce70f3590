"""Kill switches of a tenant and of the platform: what they stop, whose holds they cancel, how they end."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from budgets.models import KillSwitch, Reservation
from budgets.selectors.audit import audit
from budgets.selectors.switches import switch_history, thrown_switches
from budgets.services import lifecycle
from budgets.services.guards import TenantIsClosed
from budgets.services.platform_stops import PlatformStopped, stop_platform
from budgets.services.switches import lift_switch, throw_switch
from kernel.actor import Actor
from kernel.ids import uuid7
from kernel.stops import InvalidSwitch, Stop
from kernel.switches import SwitchLevel, SwitchMode
from kernel.tenancy import in_public, in_tenant
from telemetry.models import AuditEntry, OutboxEvent
from tenants.models import PlatformSwitch, Tenant
from tenants.selectors.platform_switches import thrown_platform_switches
from tenants.services.platform_switches import lift_platform_switch, throw_platform_switch
from tests.support.books import Books
from tests.support.bursts import burst
from tests.support.owner import delete_shared, head_held, let_time_pass
from tests.support.rules import rule

OLIVE = Actor(name="olive", actor_type="admin_on_behalf_of")
ROOT = "tenant:acme"
TRIAGE = {"suffixes": ["", "/workspace:prod", "/workspace:prod/agent:triage"]} | {
    "subject": {"tenant": "acme", "workspace": "prod", "agent": "triage"}
}
OTHER = {"suffixes": ["", "/workspace:prod", "/workspace:prod/agent:triage2"]} | {
    "subject": {"tenant": "acme", "workspace": "prod", "agent": "triage2"}
}
GPT = {"action": {"kind": "llm.completion", "name": "openai:gpt-4o"}}
CLAUDE = {"action": {"kind": "llm.completion", "name": "anthropic:claude"}}
SLACK = {"action": {"kind": "tool.call", "name": "slack.post"}}


@pytest.fixture
def books(acme: Tenant) -> Books:
    books = Books(acme)
    books.add_budget(allocated=100_000_000)
    return books


@pytest.fixture
def shared(database: None) -> Iterator[None]:
    """The platform's switches are nobody's alone: gone after the test."""
    yield
    delete_shared(PlatformSwitch.objects.all())


def throw(books: Books, level: SwitchLevel = SwitchLevel.TENANT, name: str = "", **terms: Any) -> Any:
    stop = Stop(level=level, name=name, **{"reason": "runaway agent"} | terms)
    return throw_switch(tag=books.tenant.tag, stop=stop, actor=OLIVE)


def lift(books: Books, level: SwitchLevel = SwitchLevel.TENANT, name: str = "") -> Any:
    return lift_switch(tag=books.tenant.tag, level=level, name=name, actor=OLIVE)


def ask(books: Books, **fields: Any) -> str:
    return books.ask("reserve", **{"amount": 5} | fields).status


def states(books: Books, *holds: Any) -> list[str]:
    with in_tenant(books.tenant.tag):
        return [Reservation.objects.get(pk=hold).status for hold in holds]


def hold(books: Books, **fields: Any) -> Any:
    answer = books.ask("reserve", **{"amount": 5} | fields)
    assert answer.status == "OK", answer
    return answer.id


class TestStopNew:
    def test_refuses_new_work_and_lets_the_old_settle(self, books: Books) -> None:
        first, second = hold(books), hold(books)

        switched = throw(books)

        assert (switched.is_changed, switched.holds_released) == (True, 0)
        assert ask(books) == "KILL_SWITCH"
        assert books.ask("decide", amount=5).reason == "KILL_SWITCH"
        assert books.ask("commit", target=first, amount=5).status == "OK"
        assert books.ask("release", target=second).status == "OK"
        assert books.ask("event", amount=5).status == "OK"
        assert audit(books.tenant.tag) == []

    def test_leaves_another_tenant_untouched(self, books: Books, initech: Tenant) -> None:
        others = Books(initech)
        others.add_budget(allocated=100)

        throw(books, mode=SwitchMode.CANCEL_HOLDS)

        assert ask(others) == "OK"
        with in_tenant(initech.tag):
            assert not KillSwitch.objects.exists()
            assert not OutboxEvent.objects.filter(event_type__startswith="kill_switch").exists()

    def test_tells_the_refused_why(self, books: Books) -> None:
        throw(books, SwitchLevel.AGENT, "Triage")

        answer = books.ask("reserve", amount=5, **TRIAGE)

        assert answer.numbers is not None
        assert (answer.numbers["level"], answer.numbers["name"]) == ("agent", "triage")
        assert answer.numbers["reason"] == "runaway agent"
        assert ask(books, **OTHER) == "OK"


class TestCancelHolds:
    @pytest.mark.parametrize(
        ("level", "name", "covered", "spared"),
        [
            (SwitchLevel.WORKSPACE, "prod", TRIAGE, {}),
            (SwitchLevel.AGENT, "triage", TRIAGE, OTHER),
            (SwitchLevel.AGENT, "TRIAGE", TRIAGE, OTHER),
            (SwitchLevel.TOOL, "slack.post", SLACK, {"action": {"kind": "llm.completion", "name": "slack.post"}}),
            (SwitchLevel.TOOL, "slack.post", SLACK, {"action": {"kind": "tool.call", "name": "slack.posts"}}),
            (SwitchLevel.MODEL, "openai:gpt-4o", GPT, {"action": {"kind": "llm", "name": "openai:gpt-4o-mini"}}),
            (SwitchLevel.MODEL, "OpenAI:GPT-4o", {"action": {"kind": "llm", "name": "OPENAI:gpt-4O"}}, CLAUDE),
            (SwitchLevel.PROVIDER, "openai", GPT, CLAUDE),
            (SwitchLevel.PROVIDER, "openai", GPT, {"action": {"kind": "llm", "name": "openai2:gpt-4o"}}),
        ],
    )
    def test_gives_back_what_the_switch_covers_and_no_more(
        self, books: Books, level: SwitchLevel, name: str, covered: dict[str, Any], spared: dict[str, Any]
    ) -> None:
        gone, kept = hold(books, **covered), hold(books, **spared)

        switched = throw(books, level, name, mode=SwitchMode.CANCEL_HOLDS)

        assert switched.holds_released == 1
        assert states(books, gone, kept) == ["RELEASED", "ACTIVE"]
        assert (ask(books, **covered), ask(books, **spared)) == ("KILL_SWITCH", "OK")
        assert books.ask("commit", target=gone, amount=5).status == "RESERVATION_FINALIZED"
        assert audit(books.tenant.tag) == []

    def test_of_a_key_gives_back_that_key_s_alone(self, books: Books) -> None:
        other = Books(books.tenant)
        gone, kept = hold(books), hold(other, idem="other")

        throw(books, SwitchLevel.KEY, books.key.key_id, mode=SwitchMode.CANCEL_HOLDS)

        assert states(books, gone, kept) == ["RELEASED", "ACTIVE"]
        assert (ask(books), ask(other, idem="another")) == ("KILL_SWITCH", "OK")

    @pytest.mark.parametrize(
        ("level", "name"), [(SwitchLevel.MODEL, "openai:gpt-4o-mini"), (SwitchLevel.PROVIDER, "openai")]
    )
    def test_of_a_model_gives_back_what_was_routed_to_it(self, books: Books, level: SwitchLevel, name: str) -> None:
        rule(books)
        routed = books.ask("reserve", endpoint="admit", facts={"input_tokens": 1_000})
        assert routed.status == "OK", routed
        kept = hold(books)

        switched = throw(books, level, name, mode=SwitchMode.CANCEL_HOLDS)

        assert switched.holds_released == 1
        assert states(books, routed.id, kept) == ["RELEASED", "ACTIVE"]

    def test_of_a_tenant_gives_back_more_than_one_batch(self, books: Books) -> None:
        holds = [
            answer.id
            for _ in range(3)
            for answer in books.ask_all(*(books.operation("reserve", amount=1, id=uuid7()) for _ in range(90)))
        ]

        switched = throw(books, mode=SwitchMode.CANCEL_HOLDS)

        assert switched.holds_released == len(holds) == 270
        assert books.budget().reserved == 0
        assert audit(books.tenant.tag) == []


class TestRepeated:
    def test_changes_nothing_and_is_told_once(self, books: Books) -> None:
        assert [throw(books).is_changed for _ in range(3)] == [True, False, False]
        assert [lift(books) is not None for _ in range(3)] == [True, False, False]

        with in_tenant(books.tenant.tag):
            told = list(
                OutboxEvent.objects.filter(event_type__startswith="kill").order_by("id").values_list("event_type")
            )
            audited = AuditEntry.objects.get(action="kill_switch.thrown")
        assert told == [("kill_switch.thrown",), ("kill_switch.lifted",)]
        assert (audited.actor, audited.reason, audited.before) == ("olive", "runaway agent", None)
        assert ask(books) == "OK"

    def test_with_another_mode_changes_it_and_cancels(self, books: Books) -> None:
        held = hold(books)
        throw(books)

        changed = throw(books, mode=SwitchMode.CANCEL_HOLDS)

        assert (changed.is_changed, changed.holds_released) == (True, 1)
        assert states(books, held) == ["RELEASED"]
        with in_tenant(books.tenant.tag):
            assert KillSwitch.objects.count() == 1
            audited = AuditEntry.objects.get(action="kill_switch.changed")
        assert audited.before is not None
        assert audited.after is not None
        assert (audited.before["mode"], audited.after["mode"]) == ("STOP_NEW", "CANCEL_HOLDS")

    def test_at_once_from_many_places_has_one_effect(self, books: Books) -> None:
        outcomes = burst([lambda: throw(books).is_changed] * 6)

        assert sorted(map(str, outcomes)) == ["False"] * 5 + ["True"]


class TestEnd:
    def test_lets_it_work_again_by_itself_and_can_be_thrown_anew(self, books: Books) -> None:
        throw(books, ends_at=datetime.now(UTC) + timedelta(hours=1))
        assert ask(books) == "KILL_SWITCH"

        let_time_pass(books.tenant.tag, timedelta(hours=2))

        assert ask(books) == "OK"
        assert lift(books) is None
        assert throw(books).is_changed
        assert ask(books) == "KILL_SWITCH"
        with in_tenant(books.tenant.tag):
            ended, thrown = switch_history().order_by("thrown_at")
            assert list(thrown_switches(now=datetime.now(UTC))) == [thrown]
        assert (ended.lifted_at, ended.lifted_by) == (ended.ends_at, "its end")

    def test_can_be_moved_and_taken_away(self, books: Books) -> None:
        later = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)

        assert throw(books, ends_at=later).switch.ends_at == later
        assert throw(books, ends_at=later + timedelta(hours=1)).is_changed
        assert throw(books).switch.ends_at is None

    def test_in_the_past_is_refused(self, books: Books) -> None:
        with pytest.raises(InvalidSwitch) as refused:
            throw(books, ends_at=datetime.now(UTC) - timedelta(seconds=1))

        assert refused.value.field == "ends_at"
        assert ask(books) == "OK"


class TestRefusals:
    @pytest.mark.parametrize(
        ("level", "name", "terms", "field"),
        [
            (SwitchLevel.PLATFORM, "", {}, "level"),
            (SwitchLevel.TENANT, "acme", {}, "name"),
            (SwitchLevel.AGENT, "", {}, "name"),
            (SwitchLevel.AGENT, "a/b", {}, "name"),
            (SwitchLevel.AGENT, "x" * 129, {}, "name"),
            (SwitchLevel.KEY, "short", {}, "name"),
            (SwitchLevel.TOOL, "a\nb", {}, "name"),
            (SwitchLevel.MODEL, "", {}, "name"),
            (SwitchLevel.PROVIDER, "open ai", {}, "name"),
            (SwitchLevel.TENANT, "", {"reason": " "}, "reason"),
        ],
    )
    def test_name_the_field(
        self, books: Books, level: SwitchLevel, name: str, terms: dict[str, Any], field: str
    ) -> None:
        with pytest.raises(InvalidSwitch) as refused:
            throw(books, level, name, **terms)

        assert refused.value.field == field

    def test_a_closed_tenant_has_nothing_to_stop(self, books: Books) -> None:
        lifecycle.close_tenant(tag=books.tenant.tag, actor=OLIVE)

        for attempt in (throw, lift):
            with pytest.raises(TenantIsClosed):
                attempt(books)


@pytest.mark.usefixtures("shared")
class TestPlatform:
    @pytest.mark.parametrize(
        ("level", "name", "spares_others"),
        [
            (SwitchLevel.PLATFORM, "", False),
            (SwitchLevel.MODEL, "openai:gpt-4o", True),
            (SwitchLevel.PROVIDER, "OpenAI", True),
        ],
    )
    def test_stops_it_for_every_tenant(
        self, books: Books, initech: Tenant, level: SwitchLevel, name: str, *, spares_others: bool
    ) -> None:
        others = Books(initech)
        others.add_budget(allocated=100)

        thrown = throw_platform_switch(stop=Stop(level=level, name=name, reason="outage"), actor=OLIVE)

        assert thrown.is_changed
        assert [ask(each, **GPT) for each in (books, others)] == ["KILL_SWITCH"] * 2
        assert [ask(each, **CLAUDE) for each in (books, others)] == ["OK" if spares_others else "KILL_SWITCH"] * 2
        assert lift_platform_switch(level=level, name=name, actor=OLIVE) is not None
        assert lift_platform_switch(level=level, name=name, actor=OLIVE) is None
        assert [ask(each, **GPT) for each in (books, others)] == ["OK"] * 2

    def test_is_told_once_in_the_shared_schema(self, books: Books) -> None:
        changes = burst(
            [lambda: throw_platform_switch(stop=Stop(level=SwitchLevel.PLATFORM, reason="x"), actor=OLIVE).is_changed]
            * 4
        )

        assert sorted(map(str, changes)) == ["False"] * 3 + ["True"]
        with in_public():
            assert thrown_platform_switches(now=datetime.now(UTC)).count() == 1
            assert OutboxEvent.objects.filter(event_type="kill_switch.thrown").count() >= 1

    def test_cancels_holds_in_every_tenant(self, books: Books, initech: Tenant) -> None:
        others = Books(initech)
        others.add_budget(allocated=100)
        gone = [hold(each, **GPT) for each in (books, others)]
        kept = [hold(each, **CLAUDE) for each in (books, others)]

        stopped = stop_platform(
            stop=Stop(level=SwitchLevel.PROVIDER, name="openai", mode=SwitchMode.CANCEL_HOLDS, reason="leak"),
            actor=OLIVE,
        )

        assert (stopped.holds_released, stopped.tenants_visited, stopped.tenants_failed) == (2, 2, 0)
        assert [states(each, one) for each, one in zip((books, others), gone, strict=True)] == [["RELEASED"]] * 2
        assert [states(each, one) for each, one in zip((books, others), kept, strict=True)] == [["ACTIVE"]] * 2
        assert [audit(each.tenant.tag) for each in (books, others)] == [[], []]

    def test_says_which_tenants_it_could_not_reach_and_reaches_them_when_repeated(
        self, books: Books, initech: Tenant
    ) -> None:
        others = Books(initech)
        others.add_budget(allocated=100)
        held = [hold(each) for each in (books, others)]

        def stop() -> PlatformStopped:
            return stop_platform(
                stop=Stop(level=SwitchLevel.PLATFORM, mode=SwitchMode.CANCEL_HOLDS, reason="leak"), actor=OLIVE
            )

        with head_held(books.tenant):
            first = stop()
        between = [states(each, one)[0] for each, one in zip((books, others), held, strict=True)]
        second = stop()

        assert (first.holds_released, first.tenants_failed) == (1, 1)
        assert between == ["ACTIVE", "RELEASED"]
        assert (second.is_changed, second.holds_released, second.tenants_failed) == (False, 1, 0)
        assert [states(each, one) for each, one in zip((books, others), held, strict=True)] == [["RELEASED"]] * 2

    def test_stops_nothing_of_one_tenant(self, database: None) -> None:
        with pytest.raises(InvalidSwitch):
            throw_platform_switch(stop=Stop(level=SwitchLevel.AGENT, name="triage", reason="x"), actor=OLIVE)


@pytest.mark.usefixtures("shared")
class TestCommands:
    def run(self, *words: str) -> str:
        out = StringIO()
        call_command(*words, stdout=out)
        return out.getvalue()

    def test_kill_and_resume_a_tenant(self, books: Books) -> None:
        held = hold(books)

        assert self.run("kill", "acme", "--reason", "leak", "--cancel-holds") == (
            "Stopped acme until it is resumed; 1 holds given back.\n"
        )
        assert (ask(books), states(books, held)) == ("KILL_SWITCH", ["RELEASED"])
        assert self.run("resume", "acme") == "Resumed acme.\n"
        assert self.run("resume", "acme") == "No switch was thrown on acme; nothing has changed.\n"
        assert ask(books) == "OK"

    def test_kill_and_resume_one_agent_until_a_time(self, books: Books) -> None:
        words = ("acme", "--level", "agent", "--name", "Triage")

        assert self.run("kill", *words, "--reason", "leak", "--until", "2199-01-01T00:00:00") == (
            "Stopped agent triage of acme until 2199-01-01T00:00:00+00:00; 0 holds given back.\n"
        )
        assert (ask(books, **TRIAGE), ask(books, **OTHER)) == ("KILL_SWITCH", "OK")
        assert self.run("resume", *words).startswith("Resumed agent")

    def test_kill_and_resume_the_platform(self, books: Books) -> None:
        assert self.run("kill", "--platform", "--reason", "x", "--level", "model", "--name", "openai:gpt-4o") == (
            "Stopped model openai:gpt-4o for every tenant until it is resumed; 0 holds given back.\n"
        )
        assert (ask(books, **GPT), ask(books, **CLAUDE)) == ("KILL_SWITCH", "OK")
        assert self.run("resume", "--platform", "--level", "model", "--name", "openai:gpt-4o").startswith("Resumed")

    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            (["kill", "--reason", "x"], "Name a tenant, or --platform"),
            (["kill", "acme", "--platform", "--reason", "x"], "Name a tenant, or --platform"),
            (["kill", "nobody", "--reason", "x"], "There is no tenant nobody"),
            (["kill", "acme", "--reason", ""], "reason must not be empty"),
            (["kill", "acme", "--level", "agent", "--reason", "x"], "name must be 1 to 128"),
            (["kill", "acme", "--level", "platform", "--reason", "x"], "level must be one of a tenant's"),
            (["kill", "acme", "--reason", "x", "--until", "2001-01-01"], "ends_at must be later than now"),
            (["kill", "acme"], "--reason"),
            (["resume", "acme", "--level", "key", "--name", "x"], "name must be the id of a key"),
        ],
    )
    def test_refuse_in_one_sentence(self, books: Books, words: list[str], sentence: str) -> None:
        with pytest.raises(CommandError, match=sentence):
            self.run(*words)

        assert ask(books) == "OK"


def test_every_level_is_stopped_by_the_engine_too(books: Books) -> None:
    """What the service lets be thrown is what the judgement looks at."""
    fields: dict[SwitchLevel, tuple[str, dict[str, Any]]] = {
        SwitchLevel.TENANT: ("", {}),
        SwitchLevel.KEY: (books.key.key_id, {}),
        SwitchLevel.TOOL: ("slack.post", SLACK),
        SwitchLevel.MODEL: ("openai:gpt-4o", GPT),
        SwitchLevel.PROVIDER: ("openai", GPT),
    }
    for level in ("workspace", "app", "workflow", "agent", "toolset"):
        subject = {"suffixes": ["", f"/{level}:x"], "subject": {"tenant": "acme", level: "X"}}
        fields[SwitchLevel(level)] = ("x", subject)
    assert set(fields) == set(SwitchLevel) - {SwitchLevel.PLATFORM}
    change: Callable[..., Any]
    for level, (name, what) in fields.items():
        for change, expected in ((throw, "KILL_SWITCH"), (lift, "OK")):
            change(books, level, name)
            assert ask(books, **what) == expected, level
