"""POST /v1/x-watermaster/credentials/lease: the secret that a tool needs, once, for a decision that holds."""

from datetime import UTC, datetime, timedelta

from django.http import HttpRequest, HttpResponse
from django.views.decorators.debug import sensitive_variables

from budgets.api.own_requests import LeaseRequest
from budgets.api.runtime.asking import respond
from budgets.api.runtime.caller import Caller, key_first, own_id, read_caller
from budgets.api.runtime.lease_parts import lease_actor, lease_end, lease_key, milliseconds
from budgets.api.runtime.lease_refusals import (
    no_grounds,
    no_reference,
    reference_expired,
    store_failed,
    too_many_leases,
)
from budgets.api.runtime.own_bodies import LeaseBody
from budgets.services.lease_grounds import Grounds, LeaseRefused, NoGrounds, live_decision, require_tool
from kernel.http.drf import ProtocolView, decode
from kernel.http.errors import ProtocolError, error_of_status
from kernel.http.planes import closes_shared_connections
from kernel.ids import WireId
from kernel.tenancy import in_tenant, schema_exists
from vault.backends.door import Fetched, FetchFailed
from vault.locations import Location
from vault.selectors.leasable import Leasable, leasable
from vault.selectors.leases import live_leases
from vault.services.checking import note_health
from vault.services.fetching import fetch, give_back
from vault.services.leasing import LIVE_MAX, LeaseOvertaken, NewLease, TooManyLeases, record_lease, store_end


class LeaseView(ProtocolView):
    """Nothing of the secret is kept: not in a cache, not in a log, not in a row."""

    @sensitive_variables("fetched")
    def post(self, request: HttpRequest) -> HttpResponse:
        caller = read_caller(request)
        with key_first(caller):
            body = decode(request, LeaseRequest)
            decision_id = _own_decision(caller, body.decision_id)
        now = datetime.now(UTC)
        with closes_shared_connections():
            grounds, found = _grounds(request, caller, body, decision_id, now=now)
        # No connection is held meanwhile.
        location = found.previous if body.previous and found.previous else found.location
        fetched = _fetched(request, caller, found, location)
        now = datetime.now(UTC)
        expires_at = _expiry(grounds, found, fetched, of_previous=body.previous, now=now)
        try:
            with closes_shared_connections():
                # Anew: the store took its time, and what the lease stands on may be over.
                _grounds(request, caller, body, decision_id, now=now)
                if expires_at <= now:
                    raise reference_expired()
                with in_tenant(caller.tag):
                    lease_id = record_lease(
                        NewLease(
                            reference=found,
                            location=location,
                            decision_uuid=decision_id.uuid,
                            decision_id=body.decision_id,
                            version=fetched.version,
                            expires_at=expires_at,
                            store_lease_id=fetched.lease_id,
                            store_ends_at=store_end(fetched, now=now),
                        ),
                        actor=lease_actor(request, caller),
                        now=now,
                    )
        except Exception as error:
            give_back(fetched, tag=caller.tag, back_end=found.back_end)
            if isinstance(error, LeaseOvertaken):
                raise no_reference() from None
            if isinstance(error, TooManyLeases):
                raise too_many_leases() from None
            raise
        response = respond(_body(str(lease_id), found, fetched, expires_at), grounds.slug)
        response.headers["Cache-Control"] = "no-store"
        return response


def _own_decision(caller: Caller, text: str) -> WireId:
    """The decision's id. Another tenant's is refused in the words for one that was never made."""
    try:
        return own_id(caller, "dec", text)
    except ProtocolError:
        raise no_grounds(NoGrounds.DECISION_NOT_FOUND) from None


def _grounds(
    request: HttpRequest, caller: Caller, body: LeaseRequest, decision_id: WireId, *, now: datetime
) -> tuple[Grounds, Leasable]:
    """What the lease stands on. Refuses with 401, 403, 404, 409, 410 or 429."""
    if not schema_exists(caller.tag):
        raise error_of_status(401)
    with in_tenant(caller.tag):
        key = lease_key(request)
        try:
            grounds = live_decision(decision_id.uuid, scope_filter=key.scope_filter, now=now)
            found = leasable(body.scope, now=now)
            if found is None or (body.previous and found.previous is None):
                raise no_reference()
            require_tool(grounds, pattern=found.tools)
            if live_leases(decision_id.uuid, now=now) >= LIVE_MAX:
                # Before its store is asked; for good when it is written down.
                raise too_many_leases()
        except LeaseRefused as refused:
            raise no_grounds(refused.why) from None
    if found.expires_at is not None and found.expires_at <= now:
        raise reference_expired()
    return grounds, found


def _fetched(request: HttpRequest, caller: Caller, found: Leasable, location: Location) -> Fetched:
    try:
        return fetch(tag=caller.tag, back_end=found.back_end, location=location)
    except FetchFailed as failed:
        failure = failed
    with closes_shared_connections(), in_tenant(caller.tag):
        note_health(
            found.id, failure.health, location=location, actor=lease_actor(request, caller), now=datetime.now(UTC)
        )
    raise store_failed(failure.health, str(failure))


def _expiry(grounds: Grounds, found: Leasable, fetched: Fetched, *, of_previous: bool, now: datetime) -> datetime:
    ends = lease_end(grounds, found, of_previous=of_previous, now=now)
    return ends if fetched.lease_seconds is None else min(ends, now + timedelta(seconds=fetched.lease_seconds))


def _body(lease_id: str, found: Leasable, fetched: Fetched, expires_at: datetime) -> LeaseBody:
    return LeaseBody(
        lease_id=lease_id,
        scope=found.scope,
        name=found.name,
        provider=found.provider,
        values=fetched.secret.reveal(),
        expires_at_ms=milliseconds(expires_at),
        version=fetched.version or None,
        previous_until_ms=milliseconds(found.previous_until) if found.previous_until else None,
    )
