"""What is stopped in a tenant, what was, and which reservations a stop covers."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.fields.json import KT
from django.db.models.functions import Lower

from budgets.models import Decision, KillSwitch, Reservation
from budgets.models.choices import ReservationStatus
from kernel.switches import Switch, SwitchLevel, SwitchMode


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchLine:
    """One stop, as it stands or stood. `lifted_at` is None until it is lifted; one whose end has come is over too."""

    level: SwitchLevel
    name: str
    mode: SwitchMode
    reason: str
    actor: str
    thrown_at: datetime
    ends_at: datetime | None
    lifted_at: datetime | None
    lifted_by: str


def line_of(switch: Switch) -> SwitchLine:
    return SwitchLine(
        level=SwitchLevel(switch.level),
        name=switch.name,
        mode=SwitchMode(switch.mode),
        reason=switch.reason,
        actor=switch.actor,
        thrown_at=switch.thrown_at,
        ends_at=switch.ends_at,
        lifted_at=switch.lifted_at,
        lifted_by=switch.lifted_by,
    )


def thrown_switches(*, now: datetime) -> QuerySet[KillSwitch]:
    """The tenant's own switches that stop something now, as the engine reads them."""
    return KillSwitch.objects.filter(Q(ends_at=None) | Q(ends_at__gt=now), lifted_at=None)


def switch_history() -> QuerySet[KillSwitch]:
    """Every switch that the tenant ever had thrown, whether it is over or not."""
    return KillSwitch.objects.all()


def covered_holds(*, level: SwitchLevel, name: str) -> QuerySet[Reservation]:
    """The active reservations that a switch covers: those that it would refuse, were they asked for now.

    Of a model or a provider: what was routed to it, and what names it as the action.
    """
    holds = Reservation.objects.filter(status=ReservationStatus.ACTIVE)
    match level:
        case SwitchLevel.PLATFORM | SwitchLevel.TENANT:
            return holds
        case SwitchLevel.KEY:
            return holds.filter(api_key_id=name)
        case SwitchLevel.TOOL:
            is_tool_call = Q(action__kind="tool") | Q(action__kind__startswith="tool.")
            return holds.filter(is_tool_call, action__name=name)
        case SwitchLevel.MODEL:
            provider, _, model = name.partition(":")
            is_routed = _routed(admission__route__provider=provider, admission__route__model=model)
            return _named(holds).filter(Q(action_name=name) | is_routed)
        case SwitchLevel.PROVIDER:
            is_named = Q(action_name=name) | Q(action_name__startswith=f"{name}:")
            return _named(holds).filter(is_named | _routed(admission__route__provider=name))
        case _:
            segment = f"/{level}:{name}"
            return holds.filter(Q(scope_path__endswith=segment) | Q(scope_path__contains=f"{segment}/"))


def _named(holds: QuerySet[Reservation]) -> QuerySet[Reservation]:
    return holds.alias(action_name=Lower(KT("action__name")))


def _routed(**route: str) -> Q:
    # A reservation and the decision that allowed it share their id.
    return Q(Exists(Decision.objects.filter(pk=OuterRef("pk"), **route)))
