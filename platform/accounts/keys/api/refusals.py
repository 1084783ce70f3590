"""What the services of keys refuse, in words for the caller."""

from typing import Final

from accounts.keys.api.views import Refusals
from accounts.keys.services import keys
from kernel.http.errors import ErrorCode, ProtocolError, error_of_status, invalid_request

KEY_REFUSALS: Final[Refusals] = {
    keys.PermissionNotGrantable: lambda _: invalid_request(
        "permissions holds one that such a key cannot have.",
        field="permissions",
    ),
    keys.ExpiryInThePast: lambda _: invalid_request("expires_at must be in the future.", field="expires_at"),
    keys.OverlapTooLong: lambda _: invalid_request(
        "overlap_seconds must be at most seven days.", field="overlap_seconds"
    ),
    keys.KeyNotFound: lambda _: error_of_status(404),
    keys.KeyIsRevoked: lambda _: ProtocolError(
        ErrorCode.INVALID_REQUEST, "The key is revoked and stays so. Make a new one.", status=409
    ),
}


def require_covered(is_covered: bool) -> None:
    """Refuses with 403: a key hands out no more than it has."""
    if not is_covered:
        raise ProtocolError(
            ErrorCode.FORBIDDEN, "A key cannot hand out permissions or scopes that it does not have itself."
        )
