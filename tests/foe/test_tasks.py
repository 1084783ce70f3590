"""Every task of the workers: each names its tenant, and with one tenant's tag nothing of another's can be reached."""

import inspect
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from celery import Task, current_app
from django.utils.module_loading import autodiscover_modules

from kernel.ids import PLATFORM_TAG, mint_tag
from kernel.tasks import TagMalformed, TagMissing, TenantGone, TenantTask
from kernel.tenancy import in_tenant
from telemetry.models import OutboxEvent, WebhookDelivery
from tests.foe.conftest import Feud
from tests.support.foe.asking import watched
from tests.support.foe.things import Kind, Things
from tests.support.webhooks import Hooks

#: Tasks that are about no single tenant, with what they do for all.
OF_NO_TENANT: Final[Mapping[str, str]] = {
    "budgets.dispatch_alerts": "finds who has something to tell, and has each visited",
    "budgets.dispatch_checks": "finds whose books were not checked for a day, and has one checked",
    "budgets.dispatch_expiry": "finds who is due, and has each visited",
    "budgets.dispatch_keeping": "finds whose old rows nobody has looked for, and has each visited",
    "budgets.dispatch_references": "finds whose references were not checked, and has each visited",
    "budgets.dispatch_rollups": "finds who has something new, and has each visited",
    "budgets.keep_platform": "the platform's own events",
    "budgets.sweep_due": "asks each tenant, in its own schema, when it is due",
    "budgets.sweep_standings": "forgets tenants that are gone",
    "routing.dispatch_evidence": "finds who sent spans, and has each visited",
    "routing.follow_dates": "opens each tenant's schema for itself",
    "routing.follow_prices": "opens each tenant's schema for itself",
    "routing.follow_rules": "opens each tenant's schema for itself",
    "routing.sweep_evidence": "opens each tenant's schema for itself",
    "tenants.deliver_of_platform": "the platform's own webhooks",
    "tenants.dispatch_webhooks": "finds whose events wait, and has each visited",
    "tenants.enrol_webhooks": "finds tenants that are new",
    "tenants.hand_out_of_platform": "the platform's own events",
    "tenants.sweep_webhooks": "forgets tenants that are gone",
}
#: What a task takes beside its tenant.
ARGUMENTS: Final[Mapping[str, Callable[[Things], str]]] = {
    "subscription": lambda things: things[Kind.WEBHOOK_ROW],
    "ends_at": lambda _: datetime.now(UTC).isoformat(),
}
OURS: Final = ("budgets", "routing", "tenants", "vault", "telemetry", "accounts", "kernel")


def own_tasks() -> dict[str, Any]:
    """Every task of the program by its name."""
    # As a worker does when it starts.
    autodiscover_modules("tasks")
    return {name: task for name, task in sorted(current_app.tasks.items()) if name.partition(".")[0] in OURS}


def of_tenants() -> list[str]:
    return [name for name, task in own_tasks().items() if isinstance(task, TenantTask)]


of_each_tenant = pytest.mark.parametrize("name", of_tenants())


@pytest.fixture
def messages(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, dict[str, Any]]]:
    """What is asked of workers meanwhile: the task, and the names of what it is given. Nothing is sent."""
    sent: list[tuple[Any, dict[str, Any]]] = []

    def kept(task: Any, args: Any = None, kwargs: Any = None, **_: Any) -> None:
        assert not args, f"{task.name} is given something without a name"
        sent.append((task, dict(kwargs or {})))

    monkeypatch.setattr(Task, "apply_async", kept)
    return sent


class TestWhatIsTried:
    @pytest.mark.parametrize("name", own_tasks())
    def test_a_task_is_of_one_tenant_or_said_to_be_of_none(self, name: str) -> None:
        task = own_tasks()[name]
        takes = inspect.signature(task.run).parameters

        if isinstance(task, TenantTask):
            assert name not in OF_NO_TENANT
            assert takes["tag"].kind is inspect.Parameter.KEYWORD_ONLY
            assert takes["tag"].default is inspect.Parameter.empty, "Without a tenant it must fail."
            assert takes.keys() - {"tag"} <= ARGUMENTS.keys(), "Say what else it takes."
        else:
            assert name in OF_NO_TENANT, "Base it on TenantTask, or say here what it does for all."
            assert not {"tag", "tenant", "slug", "schema", "schema_name"} & takes.keys()

    def test_no_task_is_named_that_is_not_there(self) -> None:
        assert OF_NO_TENANT.keys() <= own_tasks().keys()

    def test_every_tick_is_of_a_task_that_takes_no_tenant(self) -> None:
        from config.celery import app

        assert {tick["task"] for tick in app.conf.beat_schedule.values()} <= OF_NO_TENANT.keys()


class TestWithoutATenant:
    @of_each_tenant
    def test_a_message_runs_nothing(self, name: str, feud: Feud) -> None:
        task, more = own_tasks()[name], _more(name, feud.own)
        given: list[dict[str, Any]] = [{}, {"tag": None}]
        given += [{"tag": tag} for tag in ("", "public", "initech", feud.own.tenant.schema_name, PLATFORM_TAG)]
        given += [{"tag": tag} for tag in (feud.own.tag.upper(), [feud.own.tag], {"tag": feud.own.tag})]
        with watched() as statements:
            for each in given:
                with pytest.raises((TagMissing, TagMalformed)):
                    task(**each, **more)

        assert list(statements) == []

    @of_each_tenant
    def test_a_message_for_one_that_is_gone_runs_nothing(self, name: str, feud: Feud) -> None:
        with watched() as statements, pytest.raises(TenantGone):
            own_tasks()[name](tag=mint_tag(), **_more(name, feud.own))

        assert [sql for sql in statements if "to_regnamespace" not in sql and not sql.startswith("SET ")] == []


class TestWithOnesTag:
    @of_each_tenant
    def test_what_is_anothers_is_not_reached(
        self, name: str, feud: Feud, messages: list[tuple[Any, dict[str, Any]]]
    ) -> None:
        """The tag is the foe's, everything else the victim's; `untouched` compares what becomes of the victim."""
        with watched() as statements:
            own_tasks()[name](tag=feud.own.tag, **_more(name, feud.theirs))

        assert [sql for sql in statements if feud.theirs.tenant.schema_name in sql] == []
        assert [sql for sql in statements if feud.theirs.tag in sql] == []
        for task, given in messages:
            expected = feud.own.tag if isinstance(task, TenantTask) else None
            assert given.get("tag") == expected, task.name


class TestWebhooks:
    def test_an_event_of_anothers_is_handed_to_ones_own_receivers_alone(self, feud: Feud) -> None:
        hooks = Hooks(feud.own.tenant)
        subscription = hooks.subscribe("https://hooks.invalid/", "budget.funded", "budget.frozen")
        with in_tenant(feud.own.tag):
            before = set(WebhookDelivery.objects.values_list("pk", flat=True))
        hooks.happen("budget.funded")
        hooks.visit()

        with in_tenant(feud.own.tag):
            handed = WebhookDelivery.objects.filter(subscription=subscription).exclude(pk__in=before)
            own_events = set(OutboxEvent.objects.values_list("pk", flat=True))
            assert [delivery.event_id in own_events for delivery in handed] == [True]


def _more(name: str, things: Things) -> dict[str, str]:
    takes = inspect.signature(own_tasks()[name].run).parameters
    return {argument: ARGUMENTS[argument](things) for argument in takes if argument != "tag"}
