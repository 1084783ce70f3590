"""Looking at a tenant's pages in a member's place: to look only, for half an hour, written down with the tenant."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from accounts.services.people import write_down
from kernel.actor import Actor
from kernel.ids import Tag

LASTS: Final = timedelta(minutes=30)


class ReasonMissing(Exception):
    """Nobody looks at a tenant's pages without saying why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Impersonation:
    """An operator who looks at the tenant's pages until `ends_at`."""

    tag: Tag
    slug: str
    reason: str
    operator_email: str
    ends_at: datetime


def begin(*, tag: Tag, slug: str, actor: Actor, now: datetime) -> Impersonation:
    """Write down that it begins, and until when it lasts at most. Raises `ReasonMissing`."""
    if not actor.reason.strip():
        raise ReasonMissing
    found = Impersonation(tag=tag, slug=slug, reason=actor.reason, operator_email=actor.name, ends_at=now + LASTS)
    with transaction.atomic():
        after = {"ends_at": found.ends_at.isoformat()}
        write_down(tag, actor=actor, action="impersonation.began", target=slug, at=now, after=after)
    return found


def end(found: Impersonation, *, source_ip: str, now: datetime) -> None:
    """Write down that it is over, at the latest when its time was."""
    actor = Actor(name=found.operator_email, actor_type="admin_on_behalf_of", reason=found.reason, source_ip=source_ip)
    at = min(now, found.ends_at)
    with transaction.atomic():
        write_down(found.tag, actor=actor, action="impersonation.ended", target=found.slug, at=at)
