"""The headers of one delivery: signed by Standard Webhooks, and as the Cycles protocol asks for.

While a secret is being changed both sign: the Standard header holds both signatures, and beside X-Cycles-Signature,
which the protocol defines as one, stands X-Cycles-Signature-Previous.
"""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from standardwebhooks import Webhook

USER_AGENT: Final = "watermaster-webhooks/1"
_STANDARD: Final = "whsec_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What is delivered. `trace_id` has 32 hex digits, `span_id` 16 and is new for each attempt."""

    event_id: str
    event_type: str
    body: bytes
    trace_id: str
    span_id: str


def signed_headers(
    message: Message, *, secrets: Sequence[str], at: datetime, custom: Mapping[str, str]
) -> dict[str, str]:
    """All headers. `secrets` are the current one and, for a while, the one before; `at` is in UTC."""
    signatures = [_cycles(secret, message.body) for secret in secrets]
    headers = {
        **custom,
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "webhook-id": message.event_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(_standard(secret, message, at) for secret in secrets),
        "X-Cycles-Event-Id": message.event_id,
        "X-Cycles-Event-Type": message.event_type,
        "X-Cycles-Signature": signatures[0],
        "X-Cycles-Trace-Id": message.trace_id,
        "traceparent": f"00-{message.trace_id}-{message.span_id}-01",
    }
    if len(signatures) > 1:
        headers["X-Cycles-Signature-Previous"] = signatures[1]
    return headers


def _standard(secret: str, message: Message, at: datetime) -> str:
    # A secret that a customer chose need not be base64: then its text is the key.
    webhook = Webhook(secret if secret.startswith(_STANDARD) else secret.encode())
    return webhook.sign(message.event_id, at, message.body.decode())


def _cycles(secret: str, body: bytes) -> str:
    return "sha256=" + hmac.digest(secret.encode(), body, "sha256").hex()
