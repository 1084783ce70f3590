"""What a tenant has that somebody else could ask for: an example of each kind, and one that nobody has."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from secrets import token_hex
from typing import Any, Final
from uuid import UUID

from budgets.models import Decision, LedgerHead, Reservation, RunTemplate
from kernel.ids import Tag, WirePrefix, mint_wire_id, parse_wire_id, uuid7
from kernel.money import Unit
from kernel.tenancy import in_tenant
from telemetry.models import OutboxEvent
from tenants.models import Tenant
from tests.support.books import Books
from vault.models import CredentialLease, CredentialReference


class Kind(StrEnum):
    """What a parameter, a field or a part of an address names."""

    ALERT = "alert"
    BUDGET = "budget"
    BUDGET_TOO = "another budget"
    CHANNEL = "channel"
    CREDENTIAL = "scope of a credential"
    CURSOR = "cursor"
    DECISION = "decision"
    EVENT = "event"
    IDEMPOTENCY = "idempotency key"
    KEY = "key"
    LEASE = "lease"
    RECONCILIATION = "reconciliation"
    REFERENCE = "credential reference"
    REQUEST = "request for money"
    REQUEST_ID = "request id"
    RESERVATION = "reservation"
    RUN = "run"
    SCOPE = "scope"
    SEQ = "ledger entry"
    SLUG = "tenant"
    TEMPLATE = "run template"
    TEMPLATE_TOO = "another run template"
    TRACE = "trace"
    WEBHOOK = "webhook"
    WEBHOOK_ROW = "webhook in the console"
    WORKSPACE = "workspace"


#: Kinds whose ids carry their tenant's tag and a MAC.
WIRES: Final[Mapping[Kind, WirePrefix]] = {
    Kind.RESERVATION: "rsv",
    Kind.DECISION: "dec",
    Kind.EVENT: "evt",
    Kind.WEBHOOK: "whsub",
}
_NOBODYS_SLUG: Final = "nobody-here"


@dataclass(frozen=True, slots=True)
class Things:
    """One thing of each kind, as callers name it."""

    tenant: Tenant
    named: Mapping[Kind, str]

    def __getitem__(self, kind: Kind) -> str:
        return self.named[kind]

    @property
    def tag(self) -> Tag:
        return self.tenant.tag


@dataclass(frozen=True, slots=True)
class Twin:
    """Something that is not there. `is_alike`: to look for it takes the same work as for what is another's."""

    words: str
    value: str
    is_alike: bool = True


def things_of(tenant: Tenant, samples: Mapping[str, Any], *, books: Books) -> Things:
    """One of each, some made for it; `samples` are those of the console's scene for this tenant."""
    tag = tenant.tag
    key = f"key-of-{tenant.slug}-{token_hex(4)}"
    held = books.ask("reserve", amount=1, idem=key, ttl_ms=3_600_000)
    assert held.status == "OK", held
    workspace = f"of-{tenant.slug}-alone"
    siblings = [books.add_budget(f"/workspace:{name}", allocated=1_000) for name in (workspace, f"{workspace}-too")]
    templates = [f"template-of-{tenant.slug}", f"another-of-{tenant.slug}"]
    with in_tenant(tag):
        for name in templates:
            RunTemplate.objects.create(id=uuid7(), name=name, unit=Unit.USD_MICROCENTS, amount=1, is_default=False)
        reference = CredentialReference.objects.get(pk=samples["reference_id"])
        decided = Decision.objects.filter(idempotency_key=key).first()
        assert decided is not None
        lease = _lease(reference, decided)
        happened = OutboxEvent.objects.order_by("pk").first()
        asked = Decision.objects.exclude(request_id=None).first()
        named = {
            Kind.ALERT: samples["alert_id"],
            Kind.BUDGET: siblings[0],
            Kind.BUDGET_TOO: siblings[1],
            Kind.CHANNEL: samples["channel_id"],
            Kind.CREDENTIAL: reference.scope,
            Kind.DECISION: samples["wire_id"],
            Kind.EVENT: mint_wire_id("evt", tag, happened.pk) if happened else "",
            Kind.IDEMPOTENCY: key,
            Kind.KEY: samples["key_id"],
            Kind.LEASE: lease.pk,
            Kind.RECONCILIATION: samples["reconciliation_id"],
            Kind.REFERENCE: samples["reference_id"],
            Kind.REQUEST: samples["request_id"],
            Kind.REQUEST_ID: asked.request_id if asked else f"req_{token_hex(16)}",
            Kind.RESERVATION: mint_wire_id("rsv", tag, Reservation.objects.get(idempotency_key=key).pk),
            Kind.RUN: samples["run_id"],
            Kind.SCOPE: f"tenant:{tenant.slug}/workspace:{workspace}",
            Kind.SEQ: LedgerHead.objects.get(pk=1).last_seq,
            Kind.SLUG: tenant.slug,
            Kind.TEMPLATE: templates[0],
            Kind.TEMPLATE_TOO: templates[1],
            Kind.TRACE: samples["trace_id"],
            Kind.WEBHOOK: mint_wire_id("whsub", tag, samples["webhook_id"]),
            Kind.WEBHOOK_ROW: samples["webhook_id"],
            Kind.WORKSPACE: workspace,
        }
    texts = {kind: str(value) for kind, value in named.items()}
    assert not [kind for kind, text in texts.items() if not text], texts
    return Things(tenant=tenant, named=texts)


def _lease(reference: CredentialReference, decided: Decision) -> CredentialLease:
    """A secret that somebody may use for another hour."""
    now = datetime.now(UTC)
    return CredentialLease.objects.create(
        reference_id=reference.pk,
        decision_id=decided.pk,
        path=reference.path,
        key=reference.key,
        leased_at=now,
        expires_at=now + timedelta(hours=1),
    )


def twins_of(kind: Kind, theirs: str, *, victim: Tag, foe: Tag) -> list[Twin]:
    """What must look like `theirs`, the thing of the tenant `victim`, to the tenant `foe`."""
    if kind in WIRES:
        prefix = WIRES[kind]
        return [
            Twin("one of theirs that never was", mint_wire_id(prefix, victim, uuid7())),
            Twin("one that nobody made", theirs[:-1] + ("0" if theirs[-1] != "0" else "1"), is_alike=False),
            Twin("one of one's own that never was", mint_wire_id(prefix, foe, uuid7()), is_alike=False),
        ]
    return [Twin("one that nobody has", _nobodys(kind, theirs))]


def _nobodys(kind: Kind, theirs: str) -> str:
    match kind:
        case Kind.SLUG:
            return _NOBODYS_SLUG
        case Kind.SCOPE:
            return f"tenant:{_NOBODYS_SLUG}/workspace:nowhere"
        case Kind.CREDENTIAL:
            return "nobodys:write"
        case Kind.SEQ:
            return "987654321"
        case Kind.TRACE:
            return token_hex(16)
        case Kind.REQUEST_ID:
            return f"req_{token_hex(16)}"
        case Kind.KEY:
            return token_hex(8)
        case Kind.CURSOR:
            # One sign of the text differs, and the signature holds no more.
            return theirs[:7] + ("A" if theirs[7] != "A" else "B") + theirs[8:]
        case Kind.IDEMPOTENCY | Kind.RUN | Kind.TEMPLATE | Kind.TEMPLATE_TOO | Kind.WORKSPACE:
            return f"nobodys-{token_hex(4)}"
        case _:
            return str(uuid7())


def forms_of(value: str) -> list[str]:
    """The texts as which an answer may name what a caller sent."""
    found = {value, value.lower()}
    for prefix in WIRES.values():
        if wire := parse_wire_id(prefix, value):
            found |= {str(wire.uuid), wire.uuid.hex}
    with suppress(ValueError):
        found |= {str(UUID(value)), UUID(value).hex}
    return sorted(found, key=len, reverse=True)
