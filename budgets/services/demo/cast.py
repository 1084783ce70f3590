"""Who is in the demo: tenants, their budgets, and what their agents do all day. Facts only."""

from dataclasses import dataclass
from typing import Final

from budgets.models.choices import OveragePolicy
from budgets.services.plan_catalogue import USD

CENT: Final = USD // 100


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
class DemoReference:
    """Where the secret of a tool lives; in the demo, in a file that holds none."""

    name: str
    provider: str
    right: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoTenant:
    slug: str
    name: str
    plan: str
    time_zone: str
    owner_email: str
    budgets: tuple[DemoBudget, ...]
    workloads: tuple[Workload, ...]
    late_costs: tuple[LateCost, ...] = ()
    references: tuple[DemoReference, ...] = ()


_ZENDESK: Final = DemoReference(name="Zendesk", provider="zendesk", right="read", note="Tickets, to be read")

ACME: Final = DemoTenant(
    slug="acme",
    name="Acme Corporation",
    plan="enterprise",
    time_zone="Asia/Kolkata",
    owner_email="ada@acme.test",
    references=(
        DemoReference(name="Slack", provider="slack", right="write", note="chat:write in two channels"),
        _ZENDESK,
    ),
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
    owner_email="ben@initech.test",
    references=(_ZENDESK,),
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
#: Everybody who signs in to the demo.
EMAILS: Final = (OPERATOR_EMAIL, *(tenant.owner_email for tenant in TENANTS))
