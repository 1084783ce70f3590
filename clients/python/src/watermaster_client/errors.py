"""Everything that the client raises."""

from typing import Any

from watermaster_client.wire import Admission, GiveUp, Reason


class WatermasterError(Exception):
    """The root of all errors of this client."""


class Denied(WatermasterError):
    """The call may not be made. Nothing is held and nothing was charged."""

    def __init__(self, admission: Admission, *, retry_after_s: float | None = None) -> None:
        super().__init__(
            "; ".join(reason.sentence or reason.code for reason in admission.reasons) or "The call is denied."
        )
        self.admission = admission
        self.retry_after_s = retry_after_s

    @property
    def reasons(self) -> list[Reason]:
        return self.admission.reasons

    @property
    def codes(self) -> frozenset[str]:
        return frozenset(reason.code for reason in self.admission.reasons)

    @property
    def decision_id(self) -> str:
        return self.admission.decision_id

    @property
    def explain_url(self) -> str:
        return self.admission.explain_url

    @property
    def give_up(self) -> GiveUp | None:
        return self.admission.give_up

    @property
    def fallback(self) -> str:
        """What the give-up rule says to do instead; empty where the run need not end."""
        return self.admission.give_up.fallback if self.admission.give_up else ""


class Failure(WatermasterError):
    """A request that got no answer of success; `status` is 0 when none came at all."""

    status = 0
    retry_after_s: float | None = None

    @property
    def may_repeat(self) -> bool:
        """Whether the same request with the same key may do better in a moment."""
        return True

    @property
    def is_final(self) -> bool:
        """Whether this request can never do better. A key that is refused may be mended, the request stands."""
        return not self.may_repeat and self.status != 401


class Unavailable(Failure):
    """The server did not answer, or said that it cannot now. Whether the request took effect is unknown."""

    def __init__(self, message: str, *, status: int = 0, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s


class ApiError(Failure):
    """The server refused the request itself: 4xx with the protocol's error body."""

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str = "",
        request_id: str = "",
        details: dict[str, Any] | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {message}" if code else f"{status}: {message}")
        self.message = message
        self.status = status
        self.code = code
        self.request_id = request_id
        self.details = details or {}
        self.retry_after_s = retry_after_s

    @property
    def may_repeat(self) -> bool:
        return self.status in {408, 429}
