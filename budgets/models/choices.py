"""The closed vocabularies of the tenant's books; the values are the wire protocol's own."""

from django.db import models


class OveragePolicy(models.TextChoices):
    """What happens to the part of a charge that is above its estimate."""

    REJECT = "REJECT"
    ALLOW_IF_AVAILABLE = "ALLOW_IF_AVAILABLE"
    ALLOW_WITH_OVERDRAFT = "ALLOW_WITH_OVERDRAFT"


class BudgetStatus(models.TextChoices):
    ACTIVE = "ACTIVE"
    FROZEN = "FROZEN"
    CLOSED = "CLOSED"


class Period(models.TextChoices):
    ONE_OFF = "ONE_OFF"
    DAY = "DAY"
    WEEK = "WEEK"
    MONTH = "MONTH"


class Rollover(models.TextChoices):
    """What of a period's unspent money goes on into the next one."""

    NONE = "NONE"
    CARRY_FORWARD = "CARRY_FORWARD"
    CAP_AT_ALLOCATED = "CAP_AT_ALLOCATED"


class ReservationStatus(models.TextChoices):
    ACTIVE = "ACTIVE"
    COMMITTED = "COMMITTED"
    RELEASED = "RELEASED"
    EXPIRED = "EXPIRED"


class Verdict(models.TextChoices):
    ALLOW = "ALLOW"
    ALLOW_WITH_CAPS = "ALLOW_WITH_CAPS"
    DENY = "DENY"


class TenantStatus(models.TextChoices):
    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    CLOSED = "CLOSED"


class RequestState(models.TextChoices):
    """OPEN -> GRANTED | DECLINED, once."""

    OPEN = "OPEN"
    GRANTED = "GRANTED"
    DECLINED = "DECLINED"


class EntryKind(models.TextChoices):
    """What a ledger entry did."""

    RESERVE = "RESERVE"
    COMMIT = "COMMIT"
    RELEASE = "RELEASE"
    EXPIRE = "EXPIRE"
    EXTEND = "EXTEND"
    EVENT = "EVENT"
    CREATE = "CREATE"
    CREDIT = "CREDIT"
    DEBIT = "DEBIT"
    RESET = "RESET"
    RESET_SPENT = "RESET_SPENT"
    REPAY_DEBT = "REPAY_DEBT"
    REALLOCATE = "REALLOCATE"
    ROLLOVER = "ROLLOVER"
    UPDATE = "UPDATE"
    FREEZE = "FREEZE"
    UNFREEZE = "UNFREEZE"
    CLOSE = "CLOSE"
    CORRECTION = "CORRECTION"


class PolicyKind(models.TextChoices):
    """What of a tenant is decided in versions. `budgets.services.ruleset` says what becomes of each."""

    LIMITS = "limits"
    TOOLS = "tools"
    ACTIONS = "actions"
    ROUTING = "routing"
    SHADOW = "shadow"
    ROUTER_SWITCH = "router_switch"


class Severity(models.IntegerChoices):
    """How much an alert matters: a greater number matters more."""

    NOTICE = 1, "Notice"
    WARNING = 2, "Warning"
    CRITICAL = 3, "Critical"


class AlertState(models.TextChoices):
    """OPEN -> RECOVERED | RESOLVED; RECOVERED -> OPEN where it comes back in its period."""

    OPEN = "OPEN"
    RECOVERED = "RECOVERED"
    RESOLVED = "RESOLVED"


class AlertKind(models.TextChoices):
    """What is watched, and the measure of its thresholds; those from LEDGER_DIFFERENCE on are told by others."""

    #: Parts per million of the allocation that are held, spent or owed.
    BUDGET_THRESHOLD = "budget_threshold"
    #: None: the mark is the routing policy's.
    LOW_WATER = "low_water"
    #: Seconds that the tenant's own budget still lasts, if it goes on like in the last hour.
    EXHAUSTION_FORECAST = "exhaustion_forecast"
    #: Parts per million of the mean hour of seven days.
    BURN_RATE = "burn_rate"
    #: Parts per million of the calls of the last hour that were refused.
    DENIAL_SPIKE = "denial_spike"
    #: None: the target is the router's.
    ROUTER_ACCURACY = "router_accuracy"
    #: Seconds until the key expires.
    KEY_EXPIRING = "key_expiring"
    #: Seconds until the reference expires.
    CREDENTIAL_EXPIRING = "credential_expiring"
    LEDGER_DIFFERENCE = "ledger_difference"
    EVIDENCE_LEAK = "evidence_leak"
    WEBHOOK_PAUSED = "webhook_paused"
    CREDENTIAL_UNHEALTHY = "credential_unhealthy"
    USAGE_DIFFERENCE = "usage_difference"


class ChannelKind(models.TextChoices):
    """Ways to tell people of alerts."""

    EMAIL = "email"
    SLACK = "slack"
    WEBHOOK = "webhook"
