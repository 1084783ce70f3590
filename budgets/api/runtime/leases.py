"""POST /v1/x-watermaster/credentials/lease: the secret that a tool needs, once, for a decision that holds."""

from datetime import UTC, datetime, timedelta
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.views.decorators.debug import sensitive_variables

from accounts.keys.permissions import Permission
from accounts.keys.selectors.keys import VerifiedKey, verified_key
from accounts.keys.tokens import parse_token
from budgets.api.own_requests import LeaseRequest
from budgets.api.runtime.asking import respond
from budgets.api.runtime.caller import Caller, key_first, own_id, read_caller
from budgets.api.runtime.lease_refusals import no_grounds, no_reference, reference_expired, store_failed
from budgets.api.runtime.own_bodies import LeaseBody
from budgets.services.lease_grounds import Grounds, LeaseRefused, live_decision, require_tool
from kernel.actor import Actor
from kernel.http.correlation import correlation_of
from kernel.http.drf import ProtocolView, decode
from kernel.http.errors import error_of_status
from kernel.http.network_address import network_address
from kernel.http.planes import closes_shared_connections
from kernel.ids import WireId
from kernel.tenancy import in_tenant, schema_exists
from vault.backends.door import Fetched, FetchFailed
from vault.locations import Location
from vault.selectors.leasable import Leasable, leasable
from vault.services.checking import note_health
from vault.services.fetching import fetch, give_back
from vault.services.leasing import LeaseOvertaken, record_lease

#: The longest that a lease is good for, whatever the decision and the store allow.
LEASE_MAX: Final = timedelta(minutes=15)


class LeaseView(ProtocolView):
    """Nothing of the secret is kept: not in a cache, not in a log, not in a row."""

    @sensitive_variables("fetched")
    def post(self, request: HttpRequest) -> HttpResponse:
        caller = read_caller(request)
        with key_first(caller):
            body = decode(request, LeaseRequest)
            decision_id = own_id(caller, "dec", body.decision_id)
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
                        found,
                        location=location,
                        version=fetched.version,
                        decision_id=body.decision_id,
                        expires_at=expires_at,
                        actor=_actor(request, caller),
                        now=now,
                    )
        except Exception as error:
            give_back(fetched, tag=caller.tag, back_end=found.back_end)
            if isinstance(error, LeaseOvertaken):
                raise no_reference() from None
            raise
        response = respond(_body(str(lease_id), found, fetched, expires_at), grounds.slug)
        response.headers["Cache-Control"] = "no-store"
        return response


def _grounds(
    request: HttpRequest, caller: Caller, body: LeaseRequest, decision_id: WireId, *, now: datetime
) -> tuple[Grounds, Leasable]:
    """What the lease stands on. Refuses with 401, 403, 404, 409 or 410."""
    if not schema_exists(caller.tag):
        raise error_of_status(401)
    with in_tenant(caller.tag):
        key = _key(request)
        try:
            grounds = live_decision(decision_id.uuid, scope_filter=key.scope_filter, now=now)
            found = leasable(body.scope, now=now)
            if found is None or (body.previous and found.previous is None):
                raise no_reference()
            require_tool(grounds, pattern=found.tools)
        except LeaseRefused as refused:
            raise no_grounds(refused.why) from None
    if found.expires_at is not None and found.expires_at <= now:
        raise reference_expired()
    return grounds, found


def _key(request: HttpRequest) -> VerifiedKey:
    parsed = parse_token(request.META.get("HTTP_X_CYCLES_API_KEY", ""))
    key = verified_key(parsed) if parsed is not None else None
    if key is None:
        raise error_of_status(401)
    if Permission.RESERVATIONS_CREATE not in key.permissions:
        raise error_of_status(403)
    return key


def _fetched(request: HttpRequest, caller: Caller, found: Leasable, location: Location) -> Fetched:
    try:
        return fetch(tag=caller.tag, back_end=found.back_end, location=location)
    except FetchFailed as failed:
        failure = failed
    with closes_shared_connections(), in_tenant(caller.tag):
        note_health(found.id, failure.health, location=location, actor=_actor(request, caller), now=datetime.now(UTC))
    raise store_failed(failure.health, str(failure))


def _expiry(grounds: Grounds, found: Leasable, fetched: Fetched, *, of_previous: bool, now: datetime) -> datetime:
    ends = [grounds.holds_until, now + LEASE_MAX]
    if found.expires_at is not None:
        ends.append(found.expires_at)
    if of_previous and found.previous_until is not None:
        ends.append(found.previous_until)
    if fetched.lease_seconds is not None:
        ends.append(now + timedelta(seconds=fetched.lease_seconds))
    return min(ends)


def _body(lease_id: str, found: Leasable, fetched: Fetched, expires_at: datetime) -> LeaseBody:
    return LeaseBody(
        lease_id=lease_id,
        scope=found.scope,
        name=found.name,
        provider=found.provider,
        values=fetched.secret.reveal(),
        expires_at_ms=_ms(expires_at),
        version=fetched.version or None,
        previous_until_ms=_ms(found.previous_until) if found.previous_until else None,
    )


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _actor(request: HttpRequest, caller: Caller) -> Actor:
    correlation = correlation_of(request)
    return Actor(
        name=caller.key_id,
        actor_type="api_key",
        request_id=correlation.request_id,
        trace_id=correlation.trace_id,
        source_ip=network_address(request),
    )
