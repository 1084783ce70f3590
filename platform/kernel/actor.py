"""Who does something, why, and in which request: what every change is written down with."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """`name` is a key id, an e-mail address or a worker's name; `actor_type` is one of the protocol's kinds.

    The kinds: admin, api_key, admin_on_behalf_of, system, scheduler.
    """

    name: str
    actor_type: str
    reason: str = ""
    request_id: str = ""
    trace_id: str = ""
    source_ip: str = ""
