"""Publishing plans. A version is never edited: whoever is on it stays on it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.db.models import Max

from kernel.actor import Actor
from kernel.ids import uuid7
from kernel.tenancy import in_public
from telemetry.services import audit
from tenants.models import Plan

#: Publishing the same plan from so many places at once is not meant seriously.
_TRIES: Final = 5


class PlanBusy(Exception):
    """Others published versions of the plan at the same moment."""


def publish_plan(*, code: str, name: str, price: int, defaults: Mapping[str, Any], actor: Actor, now: datetime) -> Plan:
    """The next version of the plan `code`, the first one for a new code. `price` is USD_MICROCENTS a month.

    Not safe to repeat: each call publishes a version. `defaults` are the caller's to check. Raises `PlanBusy`.
    """
    with in_public():
        for _ in range(_TRIES):
            try:
                with transaction.atomic():
                    return _publish(code=code, name=name, price=price, defaults=defaults, actor=actor, now=now)
            except IntegrityError as error:
                if "one_plan_per_code_and_version" not in str(error):
                    raise
    raise PlanBusy(code)


def _publish(*, code: str, name: str, price: int, defaults: Mapping[str, Any], actor: Actor, now: datetime) -> Plan:
    latest = Plan.objects.filter(code=code).aggregate(version=Max("version"))["version"] or 0
    plan = Plan.objects.create(
        id=uuid7(), code=code, version=latest + 1, name=name, price=price, defaults=dict(defaults), created_at=now
    )
    audit.record(
        actor=actor,
        action="plan.published",
        target=str(plan),
        at=now,
        after={"name": name, "price": price, "defaults": dict(defaults)},
    )
    return plan
