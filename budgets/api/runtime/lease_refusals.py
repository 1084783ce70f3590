"""Why a credential is not leased, in sentences that tell nothing of where it lies."""

from collections.abc import Mapping
from typing import Final

from budgets.services.lease_grounds import NoGrounds
from kernel.http.errors import ErrorCode, ProtocolError
from vault.kinds import Health
from vault.services.leasing import LIVE_MAX

_REFUSALS: Final[Mapping[NoGrounds, tuple[ErrorCode, str]]] = {
    NoGrounds.DECISION_NOT_FOUND: (ErrorCode.NOT_FOUND, "There is no such decision."),
    NoGrounds.DECISION_OUTSIDE_KEY: (ErrorCode.FORBIDDEN, "The decision is for a scope that this key does not reach."),
    NoGrounds.DECISION_DENIED: (ErrorCode.FORBIDDEN, "The decision was a refusal. Ask anew before you act."),
    NoGrounds.DECISION_HOLDS_NOTHING: (
        ErrorCode.FORBIDDEN,
        "The decision holds nothing. Lease for a decision of admit or of a reservation.",
    ),
    NoGrounds.DECISION_OVER: (
        ErrorCode.RESERVATION_EXPIRED,
        "The decision is over: what it held was settled or has expired. Ask anew before you act.",
    ),
    NoGrounds.TENANT_CLOSED: (ErrorCode.TENANT_CLOSED, "The tenant is closed."),
    NoGrounds.TENANT_SUSPENDED: (
        ErrorCode.FORBIDDEN,
        "The tenant is suspended: no lease until it is resumed.",
    ),
    NoGrounds.KILL_SWITCH: (ErrorCode.FORBIDDEN, "An operator has stopped this since it was decided."),
    NoGrounds.TOOL_OUTSIDE_SCOPE: (ErrorCode.FORBIDDEN, "The decision is for a tool that does not need this scope."),
    NoGrounds.TOOL_DENIED: (ErrorCode.FORBIDDEN, "The tool policy denies the tools of this scope."),
    NoGrounds.TOOL_GATED: (ErrorCode.FORBIDDEN, "The tools of this scope need a person's approval."),
}
#: What may pass by itself; the rest somebody has to mend.
_MAY_PASS: Final = frozenset({Health.UNREACHABLE, Health.SEALED, Health.GARBAGE})


def no_grounds(why: NoGrounds) -> ProtocolError:
    code, sentence = _REFUSALS[why]
    return ProtocolError(code, sentence, details={"reason_code": why.value})


def no_reference() -> ProtocolError:
    """None, a revoked one, and one whose place before is over, are the same to whoever asks."""
    return ProtocolError(
        ErrorCode.NOT_FOUND, "There is no active reference for this scope.", details={"reason_code": "NO_REFERENCE"}
    )


def no_lease() -> ProtocolError:
    return ProtocolError(ErrorCode.NOT_FOUND, "There is no such lease.", details={"reason_code": "NO_LEASE"})


def lease_over() -> ProtocolError:
    return ProtocolError(
        ErrorCode.RESERVATION_EXPIRED,
        "The lease is over: drop the secret, and lease anew if you need it still.",
        details={"reason_code": "LEASE_OVER"},
    )


def too_many_leases() -> ProtocolError:
    return ProtocolError(
        ErrorCode.LIMIT_EXCEEDED,
        f"{LIVE_MAX} leases of this decision live already. Give one back that is not needed any more.",
        details={"reason_code": "TOO_MANY_LEASES", "limit": LIVE_MAX},
    )


def reference_expired() -> ProtocolError:
    return ProtocolError(
        ErrorCode.FORBIDDEN,
        "The reference to this credential has expired.",
        details={"reason_code": "REFERENCE_EXPIRED"},
    )


def store_failed(health: Health, sentence: str) -> ProtocolError:
    """503 for what may pass, 502 for what somebody has to mend."""
    may_pass = health in _MAY_PASS
    return ProtocolError(
        ErrorCode.INTERNAL_ERROR,
        f"{sentence} {'Repeat the request in a moment.' if may_pass else 'Ask whoever manages this reference.'}",
        status=503 if may_pass else 502,
        details={"reason_code": f"CREDENTIAL_{health.value}"},
        retry_after_s=10 if may_pass else None,
    )
