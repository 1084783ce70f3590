"""What leasing, prolonging and giving back have in common: the key, the actor, and until when a lease is good."""

from datetime import datetime, timedelta
from typing import Final

from django.http import HttpRequest

from accounts.keys.permissions import Permission
from accounts.keys.selectors.keys import VerifiedKey, verified_key
from accounts.keys.tokens import parse_token
from budgets.api.runtime.caller import Caller
from budgets.services.lease_grounds import Grounds
from kernel.actor import Actor
from kernel.http.correlation import correlation_of
from kernel.http.errors import error_of_status
from kernel.http.network_address import network_address
from vault.selectors.leasable import Leasable

#: The longest that a lease is good for, whatever the decision and the store allow.
LEASE_MAX: Final = timedelta(minutes=15)


def lease_key(request: HttpRequest) -> VerifiedKey:
    """The key, in whose tenant the connection is. Refuses with 401 or 403."""
    parsed = parse_token(request.META.get("HTTP_X_CYCLES_API_KEY", ""))
    key = verified_key(parsed) if parsed is not None else None
    if key is None:
        raise error_of_status(401)
    if Permission.RESERVATIONS_CREATE not in key.permissions:
        raise error_of_status(403)
    return key


def lease_actor(request: HttpRequest, caller: Caller) -> Actor:
    correlation = correlation_of(request)
    return Actor(
        name=caller.key_id,
        actor_type="api_key",
        request_id=correlation.request_id,
        trace_id=correlation.trace_id,
        source_ip=network_address(request),
    )


def lease_end(grounds: Grounds, found: Leasable, *, of_previous: bool, now: datetime) -> datetime:
    """The earliest of what bounds it, the store's own bound left out."""
    ends = [grounds.holds_until, now + LEASE_MAX]
    if found.expires_at is not None:
        ends.append(found.expires_at)
    if of_previous and found.previous_until is not None:
        ends.append(found.previous_until)
    return min(ends)


def milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)
