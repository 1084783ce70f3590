"""The audit trail of the schema that the connection is in, as the protocol asks for it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import Case, F, Func, Q, QuerySet, TextField, Value, When
from django.db.models.functions import Cast

from telemetry.models import AuditEntry

_KEY_ID: Final = r"[0-9A-Za-z]{16}"
#: Whoever has one of these kinds is a key or a person; a person's name is an address.
_KEYED: Final = ("api_key", "admin", "admin_on_behalf_of")
_BY_KEY: Final = Q(actor_type__in=_KEYED, actor__regex=rf"^{_KEY_ID}$")
#: What an act is about: the word before its first dot.
_NOUN: Final = Func(F("action"), Value("."), Value(1), function="split_part", output_field=TextField())


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFilter:
    """What is empty or None does not narrow. Both ends of the time are included; `search` is found in either case."""

    key_id: str = ""
    operations: Sequence[str] = ()
    resource_types: Sequence[str] = ()
    resource_id: str = ""
    trace_id: str = ""
    request_id: str = ""
    search: str = ""
    since: datetime | None = None
    until: datetime | None = None


def log_entries(wanted: LogFilter) -> QuerySet[AuditEntry]:
    """What the filter means, with `noun`, and `key` which is empty where no key did it. Nothing is asked yet."""
    key = Case(When(_BY_KEY, then=F("actor")), default=Value(""), output_field=TextField())
    found = AuditEntry.objects.annotate(noun=_NOUN, key=key)
    if wanted.key_id:
        # Not by `key`: it would be made of every row.
        is_one = re.fullmatch(_KEY_ID, wanted.key_id)
        found = found.filter(actor=wanted.key_id, actor_type__in=_KEYED) if is_one else found.none()
    if wanted.operations:
        found = found.filter(action__in=wanted.operations)
    if wanted.resource_types:
        found = found.filter(noun__in=wanted.resource_types)
    if wanted.resource_id:
        found = found.filter(target=wanted.resource_id)
    if wanted.trace_id:
        found = found.filter(trace_id=wanted.trace_id)
    if wanted.request_id:
        found = found.filter(request_id=wanted.request_id)
    if wanted.search:
        found = found.annotate(log_id=Cast("id", TextField())).filter(
            Q(target__icontains=wanted.search) | Q(action__icontains=wanted.search) | Q(log_id__icontains=wanted.search)
        )
    if wanted.since is not None:
        found = found.filter(at__gte=wanted.since)
    if wanted.until is not None:
        found = found.filter(at__lte=wanted.until)
    return found


def key_of(*, actor: str, actor_type: str) -> str:
    """The id of the key that did it; empty where no key did."""
    return actor if actor_type in _KEYED and re.fullmatch(_KEY_ID, actor) else ""
