"""Who is in the demo: plans, tenants, their budgets, and what their agents do all day. Facts only."""

from dataclasses import dataclass
from typing import Any, Final

from budgets.models.choices import OveragePolicy

USD: Final = 100_000_000
CENT: Final = USD // 100

_RUN_TEMPLATES: Final[list[dict[str, Any]]] = [
    {"name": "code-review", "unit": "USD_MICROCENTS", "amount": 5 * USD},
    {"name": "deep-analysis", "unit": "USD_MICROCENTS", "amount": 30 * USD},
    {"name": "chat", "unit": "USD_MICROCENTS", "amount": 1 * USD},
]


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPlan:
    """Version 1 of a plan. `price` is a month's, `daily` the tenant's own budget for a day; USD_MICROCENTS."""

    code: str
    name: str
    price: int
    daily: int

    @property
    def defaults(self) -> dict[str, Any]:
        budget = {"unit": "USD_MICROCENTS", "allocated": self.daily, "period": "DAY"}
        return {"budgets": [budget], "run_templates": _RUN_TEMPLATES}


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoBudget:
    """A budget for every day. `scope` is the path below the tenant; amounts in USD_MICROCENTS."""

    scope: str
    allocated: int
    overdraft_limit: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What one agent does on a day: `calls` at about `cost` USD_MICROCENTS each, `calls_a_run` of them in a run."""

    workspace: str
    agent: str
    template: str
    model: str
    calls: int
    cost: int
    calls_a_run: int
    policy: OveragePolicy = OveragePolicy.ALLOW_IF_AVAILABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class LateCost:
    """A cost that turns up at the end of the day, in USD_MICROCENTS; what the budget cannot pay becomes debt."""

    workspace: str
    agent: str
    name: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoTenant:
    slug: str
    name: str
    plan: str
    time_zone: str
    budgets: tuple[DemoBudget, ...]
    workloads: tuple[Workload, ...]
    late_costs: tuple[LateCost, ...] = ()


PLANS: Final = (
    DemoPlan(code="trial", name="Trial", price=0, daily=5 * USD),
    DemoPlan(code="free", name="Free", price=0, daily=1 * USD),
    DemoPlan(code="starter", name="Starter", price=49 * USD, daily=20 * USD),
    DemoPlan(code="pro", name="Pro", price=299 * USD, daily=75 * USD),
    DemoPlan(code="enterprise", name="Enterprise", price=2_400 * USD, daily=200 * USD),
)

ACME: Final = DemoTenant(
    slug="acme",
    name="Acme Corporation",
    plan="enterprise",
    time_zone="Asia/Kolkata",
    budgets=(
        DemoBudget(scope="workspace:prod", allocated=60 * USD),
        DemoBudget(scope="workspace:prod/agent:support", allocated=45 * USD),
        DemoBudget(scope="workspace:prod/agent:triage", allocated=15 * USD),
        DemoBudget(scope="workspace:marketing", allocated=25 * USD),
        DemoBudget(scope="workspace:marketing/agent:copywriter", allocated=25 * USD),
        DemoBudget(scope="workspace:engineering", allocated=110 * USD),
        DemoBudget(scope="workspace:engineering/agent:reviewer", allocated=60 * USD),
        DemoBudget(scope="workspace:engineering/agent:analyst", allocated=31 * USD, overdraft_limit=5 * USD),
    ),
    workloads=(
        Workload(
            workspace="prod",
            agent="support",
            template="chat",
            model="gpt-4o-mini",
            calls=420,
            cost=6 * CENT,
            calls_a_run=6,
        ),
        Workload(
            workspace="prod",
            agent="triage",
            template="chat",
            model="gpt-4o-mini",
            calls=260,
            cost=2 * CENT,
            calls_a_run=3,
        ),
        # Asks for more than marketing has.
        Workload(
            workspace="marketing",
            agent="copywriter",
            template="chat",
            model="gpt-4o",
            calls=230,
            cost=15 * CENT,
            calls_a_run=4,
        ),
        Workload(
            workspace="engineering",
            agent="reviewer",
            template="code-review",
            model="claude-sonnet",
            calls=120,
            cost=35 * CENT,
            calls_a_run=8,
            policy=OveragePolicy.REJECT,
        ),
        # All in one run, which comes to no end until the run's own budget ends it.
        Workload(
            workspace="engineering",
            agent="analyst",
            template="deep-analysis",
            model="claude-opus",
            calls=26,
            cost=160 * CENT,
            calls_a_run=26,
            policy=OveragePolicy.ALLOW_WITH_OVERDRAFT,
        ),
    ),
    late_costs=(LateCost(workspace="engineering", agent="analyst", name="batch-embedding", amount=3 * USD),),
)

INITECH: Final = DemoTenant(
    slug="initech",
    name="Initech",
    plan="trial",
    time_zone="America/New_York",
    budgets=(
        DemoBudget(scope="workspace:helpdesk", allocated=4 * USD),
        DemoBudget(scope="workspace:helpdesk/agent:answers", allocated=150 * CENT),
    ),
    workloads=(
        Workload(
            workspace="helpdesk",
            agent="triage",
            template="chat",
            model="gpt-4o-mini",
            calls=100,
            cost=2 * CENT,
            calls_a_run=5,
        ),
        # Asks for more than it has; the rest of the tenant goes on.
        Workload(
            workspace="helpdesk",
            agent="answers",
            template="chat",
            model="gpt-4o-mini",
            calls=60,
            cost=5 * CENT,
            calls_a_run=6,
        ),
    ),
)

TENANTS: Final = (ACME, INITECH)
OPERATOR_EMAIL: Final = "olive@watermaster.test"
