"""An entry of the audit trail, as the protocol and as our own management API have it."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from rest_framework import serializers

from accounts.keys.selectors.key_lines import key_names
from kernel.http.serialized import Fields, FreeObject
from telemetry.selectors.audit_log import key_of
from telemetry.selectors.events import wire_time

if TYPE_CHECKING:
    from telemetry.models import AuditEntry

#: An entry is written in the transaction of what it tells, so what is in the trail was done. What was refused is among
#: the decisions, or nowhere.
DONE: Final = 200
_TRACE_ID: Final = re.compile(r"[0-9a-f]{32}")


class LogFields(Fields):
    """The protocol's AuditLogEntry; what is unknown is left out."""

    log_id = serializers.CharField()
    timestamp = serializers.DateTimeField()
    tenant_id = serializers.CharField(help_text="`__admin__` for what was done to the platform.")
    key_id = serializers.CharField(required=False, help_text="The key that did it, where a key did.")
    source_ip = serializers.CharField(required=False)
    operation = serializers.CharField(help_text="What was done, as in `budget.funded`.")
    resource_type = serializers.CharField(help_text="What it was done to: the first word of `operation`.")
    resource_id = serializers.CharField(required=False)
    request_id = serializers.CharField(required=False)
    trace_id = serializers.CharField(required=False)
    status = serializers.IntegerField(help_text="Always 200: only what was done is in the trail.")
    metadata = FreeObject(help_text="`actor`, `actor_type`, `key_name`, `target_name`, `reason`, `before`, `after`.")


def log_facts(entry: "AuditEntry", *, tenant_id: str, names: Mapping[str, str]) -> dict[str, Any]:
    """`names` are those of keys, by their ids."""
    optional = {
        "key_id": key_of(actor=entry.actor, actor_type=entry.actor_type),
        "source_ip": entry.source_ip,
        "resource_id": entry.target,
        "request_id": entry.request_id,
        "trace_id": entry.trace_id if _TRACE_ID.fullmatch(entry.trace_id) else "",
    }
    more = {
        "key_name": names.get(entry.actor),
        "target_name": names.get(entry.target),
        "reason": entry.reason or None,
        "before": entry.before,
        "after": entry.after,
    }
    return {
        "log_id": str(entry.id),
        "timestamp": wire_time(entry.at),
        "tenant_id": tenant_id,
        "operation": entry.action,
        "resource_type": entry.action.partition(".")[0],
        "status": DONE,
        "metadata": _without_nulls({"actor": entry.actor, "actor_type": entry.actor_type, **more}),
        **{name: value for name, value in optional.items() if value},
    }


def names_of_keys(entries: "Sequence[AuditEntry]", *, and_platform: bool) -> Mapping[str, str]:
    """The names of the keys that acted or were acted on, by their ids; as `key_names`."""
    return key_names({word for entry in entries for word in (entry.actor, entry.target)}, and_platform=and_platform)


def _without_nulls(value: Any) -> Any:
    """Null means unset, and the protocol leaves out what is unset."""
    if isinstance(value, Mapping):
        return {name: _without_nulls(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_without_nulls(inner) for inner in value if inner is not None]
    return value
