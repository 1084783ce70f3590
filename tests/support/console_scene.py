"""The demo on the stage, with somebody of every role to look at it and a sample for every argument of an address."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from secrets import token_bytes
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.test import Client

from accounts.keys.models import ApiKey
from accounts.models import MemberRole, OperatorRole, User
from accounts.roles import IMPERSONATOR_MAY, MEMBER_MAY, OPERATOR_MAY, Act
from budgets.models import Alert, Budget, BudgetRequest, Decision
from budgets.models.choices import AlertKind, ChannelKind, Severity
from budgets.reconciling.calls import Observed, Source
from budgets.reconciling.matching import compare_calls
from budgets.services.alert_addresses import read_address
from budgets.services.alert_channels import NewChannel, add_channel
from budgets.services.alert_findings import Finding
from budgets.services.alerts import raise_alert
from budgets.services.demo.cast import EMAILS
from budgets.services.evidence import keep_evidence
from budgets.services.invoice_files import Invoice
from budgets.services.plan_catalogue import CATALOGUE, USD
from budgets.services.policies import NewPolicy, PolicyKind, save_policy
from budgets.services.reconciliations import Question, keep_reconciliation
from budgets.services.requests import Asked, ask_for_money
from kernel.actor import Actor
from kernel.ids import mint_wire_id, uuid7
from kernel.lanes import shared_lanes
from kernel.money import Unit
from kernel.tenancy import in_public, in_tenant
from routing.services.evidence_visits import visit_evidence
from telemetry.evidence.otlp.protobuf import read_protobuf
from telemetry.evidence.reading import Owner
from telemetry.findings.models import EvidenceStanding
from telemetry.models import WebhookDelivery, WebhookSubscription
from tenants.models import Plan, Tenant
from tests.support.books import TEST_ACTOR
from tests.support.console import member_of, person, signed_in
from tests.support.console_pages import OPS, OPS_BOOKS, OWN_BOOKS
from tests.support.demo import seed
from tests.support.owner import delete_shared
from tests.support.spans import request_of, span
from tests.support.tenants import drop_tenant
from tests.support.webhooks import Hooks
from vault.backends.options import CredentialOptions
from vault.models import CredentialReference

#: Whose pages the samples lead to.
SLUG: Final = "acme"
#: A host that has no address and never will.
NOBODY_LISTENS: Final = "https://hooks.invalid/"


class Reader(StrEnum):
    """Everybody who may come to a page."""

    SIGNED_OUT = "signed out"
    STRANGER = "stranger"
    VIEWER = "viewer of acme"
    ADMIN = "admin of acme"
    OWNER = "owner of acme"
    NEIGHBOUR = "owner of initech"
    OPS_VIEWER = "operator: viewer"
    OPS_OPERATOR = "operator"
    OPS_OWNER = "operator: owner"
    IMPERSONATOR = "operator in the place of a member"

    def may(self, namespace: str) -> frozenset[Act] | None:
        """What the one table of roles lets them do on acme's pages and the operators'; None for a stranger there."""
        if namespace in {OPS, OPS_BOOKS}:
            operator = OperatorRole.OPERATOR if self is Reader.IMPERSONATOR else _OPERATORS.get(self)
            return OPERATOR_MAY[operator] if operator else None
        assert namespace == OWN_BOOKS, namespace
        if self is Reader.IMPERSONATOR:
            return IMPERSONATOR_MAY
        member = _MEMBERS.get(self)
        return MEMBER_MAY[member] if member else None


_MEMBERS: Final[Mapping[Reader, MemberRole]] = {
    Reader.VIEWER: MemberRole.VIEWER,
    Reader.ADMIN: MemberRole.ADMIN,
    Reader.OWNER: MemberRole.OWNER,
}
_OPERATORS: Final[Mapping[Reader, OperatorRole]] = {
    Reader.OPS_VIEWER: OperatorRole.VIEWER,
    Reader.OPS_OPERATOR: OperatorRole.OPERATOR,
    Reader.OPS_OWNER: OperatorRole.OWNER,
}


@dataclass(frozen=True, slots=True)
class Scene:
    """`samples` stand for the arguments of addresses (`tests.support.console_pages`)."""

    acme: Tenant
    initech: Tenant
    people: Mapping[Reader, User]
    samples: Mapping[str, object] = field(default_factory=dict)

    def browser(self, reader: Reader) -> Client:
        if reader is Reader.SIGNED_OUT:
            return Client()
        if reader is not Reader.IMPERSONATOR:
            return signed_in(self.people[reader])
        browser = signed_in(self.people[Reader.OPS_OPERATOR])
        browser.post(f"/ops/tenants/{self.acme.slug}/act-as/", {"reason": "They asked for help"})
        return browser

    def session(self, reader: Reader) -> str:
        """The key of a session in which this reader is signed in."""
        key: str = self.browser(reader).cookies[settings.SESSION_COOKIE_NAME].value
        return key


@contextmanager
def demo_scene(folder: Path) -> Iterator[Scene]:
    """Both demo tenants with their day of traffic; gone afterwards. Keys go to `folder`."""
    before = settings.VAR_DIR, settings.CREDENTIALS
    settings.VAR_DIR, settings.CREDENTIALS = folder, CredentialOptions(folder=folder / "credentials")
    try:
        seed()
        tenants = {tenant.slug: tenant for tenant in Tenant.objects.filter(slug__in=["acme", "initech"])}
        acme, initech = tenants["acme"], tenants["initech"]
        with ExitStack() as stack:
            people = _people(stack, acme, initech)
            yield Scene(acme=acme, initech=initech, people=people, samples=samples_of(acme))
    finally:
        settings.VAR_DIR, settings.CREDENTIALS = before
        with in_public():
            WebhookSubscription.objects.filter(url=NOBODY_LISTENS).delete()
        shared_lanes().close()
        for tenant in Tenant.objects.filter(slug__in=["acme", "initech"]):
            drop_tenant(tenant)
        delete_shared(
            EvidenceStanding.objects.all(),
            User.objects.filter(email__in=EMAILS),
            Plan.objects.filter(code__in=[plan.code for plan in CATALOGUE], tenants=None),
        )


def _people(stack: ExitStack, acme: Tenant, initech: Tenant) -> dict[Reader, User]:
    people = {Reader.STRANGER: stack.enter_context(person("cy", None))}
    for reader, role in _MEMBERS.items():
        people[reader] = stack.enter_context(member_of(acme, f"acme-{role.value}".lower(), role))
    people[Reader.NEIGHBOUR] = stack.enter_context(member_of(initech, "initech-owner", MemberRole.OWNER))
    for reader, operator_role in _OPERATORS.items():
        people[reader] = stack.enter_context(person(f"ops-{operator_role.value}".lower(), operator_role))
    return people


def samples_of(tenant: Tenant) -> dict[str, Any]:
    """Something of the tenant's for every argument of an address."""
    with in_tenant(tenant.tag):
        save_policy(
            NewPolicy(kind=PolicyKind.TOOLS, document={"default": "allow"}, reason="A version to go back to"),
            actor=TEST_ACTOR,
        )
        denied = Decision.objects.filter(verdict="DENY").order_by("pk").last()
        allowed = Decision.objects.exclude(verdict="DENY").order_by("pk").last()
        key = ApiKey.objects.order_by("pk").first()
        budget = Budget.objects.order_by("scope_path").first()
        assert denied is not None
        assert allowed is not None
        assert key is not None
        assert budget is not None
        return {
            "slug": tenant.slug,
            "wire_id": mint_wire_id("dec", tenant.tag, denied.pk),
            "allowed_id": mint_wire_id("dec", tenant.tag, allowed.pk),
            "run_id": denied.run_id or allowed.run_id or "",
            "key_id": key.key_id,
            "budget_id": budget.pk,
            "seq": 1,
            "request_id": _request(tenant, budget).pk,
            "reference_id": _reference().pk,
            "alert_id": _alert(tenant),
            "reconciliation_id": _reconciliation(tenant),
            "alert_kind": AlertKind.BUDGET_THRESHOLD,
            "channel_id": _channel(),
            "ticket": "nothing",
            "token": "nothing",
            "month": f"{datetime.now(ZoneInfo(tenant.time_zone)):%Y-%m}",
            "code": "pro",
            "kind": "tools",
            "keeping_edit.kind": "ledger",
            "version": 1,
            "trace_id": _trace(tenant),
            **_webhooks(tenant),
        }


def _alert(tenant: Tenant) -> UUID:
    """Something that somebody should know."""
    finding = Finding(
        kind=AlertKind.EVIDENCE_LEAK,
        subject=f"vector:{tenant.slug}-docs",
        period="today",
        severity=Severity.CRITICAL,
        summary=f"A span of another tenant names the namespace {tenant.slug}-docs.",
    )
    raise_alert(tag=tenant.tag, finding=finding)
    with in_tenant(tenant.tag):
        return Alert.objects.get(subject=finding.subject).pk


def _trace(tenant: Tenant) -> str:
    """A trace with a call of a model that two have seen, and a search in somebody else's namespace; all counted."""
    trace_id, now = token_bytes(16), datetime.now(UTC)
    used: Any = {"gen_ai__usage__input_tokens": 1_200, "gen_ai__usage__output_tokens": 340}
    named: Any = {"gen_ai__system": "openai", "gen_ai__request__model": "gpt-5", "gen_ai__operation__name": "chat"}
    turn = span("turn", trace_id=trace_id, seconds=3, gen_ai__agent__name="planner")
    outer = span("ChatOpenAI", trace_id=trace_id, parent=turn.span_id, seconds=1.4, **named, **used)
    call = span("chat gpt-5", trace_id=trace_id, parent=outer.span_id, seconds=1.3, **named, **used)
    search = span("search", trace_id=trace_id, parent=turn.span_id, db__collection__name="wm_" + "b" * 20)
    failed = span("refund", trace_id=trace_id, parent=turn.span_id, is_error=True, gen_ai__tool__name="refund")
    sent = read_protobuf(request_of(turn, outer, call, search, failed).SerializeToString())
    keep_evidence(sent, owner=Owner(tag=tenant.tag, slug=tenant.slug), actor=TEST_ACTOR, now=now)
    visit_evidence(tag=tenant.tag, ends_at=now, now=now + timedelta(minutes=1), has_time=lambda: True)
    return trace_id.hex()


def _channel() -> UUID:
    """Where alerts of the tenant whose schema the connection is in are told."""
    address = read_address(ChannelKind.SLACK, "https://hooks.slack.com/services/T0123ABCD/B0123ABCD/notatrueone12345")
    channel = NewChannel(
        id=uuid7(), kind=ChannelKind.SLACK, name="on-call", address=address, severity_min=Severity.WARNING
    )
    add_channel(channel, actor=TEST_ACTOR)
    return channel.id


def _webhooks(tenant: Tenant) -> dict[str, Any]:
    """A webhook of the tenant's with a delivery that was given up, and one of the platform's."""
    theirs, ours = Hooks(tenant), Hooks(None)
    webhook = theirs.subscribe(NOBODY_LISTENS, "budget.funded", "budget.frozen", name="Ledger")
    own = ours.subscribe(NOBODY_LISTENS, "system.high_latency", name="Watch")
    now = datetime.now(UTC)
    given_up = {"status": "FAILED", "attempts": 6, "attempted_at": now, "completed_at": now}
    again = {
        "created_at": now,
        "next_attempt_at": now,
        "body": '{"event_id": "evt_of_the_scene"}',
        "event_type": "budget.funded",
    }
    with in_tenant(tenant.tag):
        delivery = WebhookDelivery.objects.create(subscription=webhook, event_id=uuid7(), **given_up, **again)
    with in_public():
        copy = WebhookDelivery.objects.create(subscription=own, event_id=uuid7(), **given_up, **again)
    acts = ("detail", "edit", "pause", "resume", "ping", "replay", "rotate", "delete", "again")
    return {
        "webhook_id": webhook.pk,
        "delivery_id": delivery.pk,
        **{f"platform_webhook_{act}.webhook_id": own.pk for act in acts},
        "platform_webhook_again.delivery_id": copy.pk,
    }


def _request(tenant: Tenant, budget: Budget) -> BudgetRequest:
    """Somebody waits for an answer."""
    asked = Asked(id=uuid7(), scope_path=budget.scope_path, unit=Unit(budget.unit), amount=100 * USD)
    actor = Actor(name="ada@example.test", actor_type="admin", reason="Black Friday")
    ask_for_money(tag=tenant.tag, asked=asked, actor=actor, now=datetime.now(UTC))
    return BudgetRequest.objects.get(pk=asked.id)


def _reference() -> CredentialReference:
    """Where the secret of a tool lives."""
    found = CredentialReference.objects.order_by("scope").first()
    assert found is not None
    return found


def _reconciliation(tenant: Tenant) -> str:
    """A comparison that found something."""
    now = datetime.now(UTC)
    call = Observed(model="gpt-4o", place="line 2", references=("resp_1",), at=now, tokens_input=10, cost=5)
    invoice = Invoice("invoice.csv", b"date,model,cost_usd\n")
    question = Question(
        source=Source.INVOICE, name=invoice.name, digest=invoice.digest, since=now, until=now, provider="openai"
    )
    found = replace(compare_calls([call], [], tolerance_ppm=0), unnamed=3, unplaced=1)
    kept = keep_reconciliation(
        tag=tenant.tag, question=question, found=found, actor=TEST_ACTOR, now=now, invoice=invoice
    )
    return str(kept.pk)
