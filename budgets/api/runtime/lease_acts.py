"""POST /v1/x-watermaster/credentials/renew and …/give-back: what becomes of a lease that was handed out."""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse

from budgets.api.own_requests import HeldLeaseRequest
from budgets.api.runtime.asking import respond
from budgets.api.runtime.caller import Caller, key_first, read_caller
from budgets.api.runtime.lease_parts import lease_actor, lease_end, lease_key, milliseconds
from budgets.api.runtime.lease_refusals import (
    lease_over,
    no_grounds,
    no_lease,
    no_reference,
    reference_expired,
    store_failed,
)
from budgets.api.runtime.own_bodies import GivenBackBody, RenewedBody
from budgets.services.lease_grounds import Grounds, LeaseRefused, decision_slug, live_decision, require_tool
from kernel.http.drf import ProtocolView, decode
from kernel.http.errors import error_of_status
from kernel.http.planes import closes_shared_connections
from kernel.tenancy import in_tenant, schema_exists
from vault.backends.door import FetchFailed
from vault.kinds import Health
from vault.selectors.leasable import Leasable
from vault.selectors.leases import HeldLease, held_lease
from vault.services.fetching import renew
from vault.services.lease_ends import give_back, note_ended_at_store, note_prolonging, prolong, told_store
from vault.services.leasing import LeaseOvertaken, renewed_end

_CLOCKS_APART: Final = timedelta(minutes=1)


class RenewView(ProtocolView):
    """The same secret for longer. What leasing asks is asked anew; the store may say until when."""

    def post(self, request: HttpRequest) -> HttpResponse:
        caller = read_caller(request)
        with key_first(caller):
            lease_id = UUID(decode(request, HeldLeaseRequest).lease_id)
        now = datetime.now(UTC)
        with closes_shared_connections():
            grounds, lease, found = _grounds(request, caller, lease_id, now=now)
        expires_at = lease_end(grounds, found, of_previous=lease.is_of_previous, now=now)
        store_ends_at = None
        if lease.store_lease_id:
            seconds = max(int((expires_at - now).total_seconds()) + 1, 1)
            with closes_shared_connections(), in_tenant(caller.tag):
                note_prolonging(lease.id, until=renewed_end(seconds, now=now) + _CLOCKS_APART)
            # No connection is held meanwhile.
            store_ends_at = renewed_end(_renewed(caller, lease, seconds), now=now)
            expires_at = min(expires_at, store_ends_at)
        now = datetime.now(UTC)
        with closes_shared_connections():
            _grounds(request, caller, lease_id, now=now)
            if expires_at <= now:
                raise lease_over()
            with in_tenant(caller.tag):
                try:
                    prolong(
                        lease,
                        expires_at=expires_at,
                        store_ends_at=store_ends_at,
                        actor=lease_actor(request, caller),
                        now=now,
                    )
                except LeaseOvertaken:
                    raise lease_over() from None
        body = RenewedBody(lease_id=str(lease.id), scope=lease.scope, expires_at_ms=milliseconds(expires_at))
        return respond(body, grounds.slug)


class GiveBackView(ProtocolView):
    """Nobody needs it any more. Safe to repeat; a store that is away is told later by the worker."""

    def post(self, request: HttpRequest) -> HttpResponse:
        caller = read_caller(request)
        with key_first(caller):
            lease_id = UUID(decode(request, HeldLeaseRequest).lease_id)
        now = datetime.now(UTC)
        with closes_shared_connections():
            if not schema_exists(caller.tag):
                raise error_of_status(401)
            with in_tenant(caller.tag):
                key = lease_key(request)
                lease = _known(lease_id, now=now)
                try:
                    slug = decision_slug(lease.decision_id, scope_filter=key.scope_filter)
                except LeaseRefused as refused:
                    raise no_grounds(refused.why) from None
                give_back(lease, actor=lease_actor(request, caller), now=now)
        if lease.store_lease_id and told_store(tag=caller.tag, store_lease_id=lease.store_lease_id) is None:
            with closes_shared_connections(), in_tenant(caller.tag):
                note_ended_at_store(lease.id)
        return respond(GivenBackBody(lease_id=str(lease.id), status="GIVEN_BACK"), slug)


def _grounds(
    request: HttpRequest, caller: Caller, lease_id: UUID, *, now: datetime
) -> tuple[Grounds, HeldLease, Leasable]:
    """What the lease stands on still. Refuses with 401, 403, 404, 409 or 410."""
    if not schema_exists(caller.tag):
        raise error_of_status(401)
    with in_tenant(caller.tag):
        key = lease_key(request)
        lease = _known(lease_id, now=now)
        try:
            grounds = live_decision(lease.decision_id, scope_filter=key.scope_filter, now=now)
            if lease.is_over:
                raise lease_over()
            if lease.reference is None:
                raise no_reference()
            require_tool(grounds, pattern=lease.reference.tools)
        except LeaseRefused as refused:
            raise no_grounds(refused.why) from None
    if lease.reference.expires_at is not None and lease.reference.expires_at <= now:
        raise reference_expired()
    return grounds, lease, lease.reference


def _known(lease_id: UUID, *, now: datetime) -> HeldLease:
    lease = held_lease(lease_id, now=now)
    if lease is None:
        raise no_lease()
    return lease


def _renewed(caller: Caller, lease: HeldLease, seconds: int) -> int:
    try:
        return renew(tag=caller.tag, store_lease_id=lease.store_lease_id, seconds=seconds)
    except FetchFailed as failed:
        failure = failed
    if failure.health == Health.NOT_THERE:
        # It ended there, or was prolonged as often as the store allows.
        raise lease_over()
    raise store_failed(failure.health, str(failure))
