"""What a run of the bench comes to: the shape of `bench/results/*.json`. Rates are a second, times in milliseconds."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.cpu import CpuShares
from bench.figures import Figures
from bench.machine import Machine
from bench.traffic import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One kind of traffic at one number of connections: over HTTP, and beside it without HTTP and without us.

    `http` and `raw` are medians of `http_runs` and `raw_runs`. `bare` counts requests; a lifecycle is two of them.
    `sync_p50_ms` is what a small durable write took just before.
    """

    kind: Kind
    tenants: int
    connections: int
    http: Figures
    http_runs: list[Figures]
    cpu: CpuShares
    sync_p50_ms: float
    raw_clients: int | None = None
    raw: Figures | None = None
    raw_runs: list[Figures] = field(default_factory=list)
    bare: Figures | None = None

    @property
    def requests_a_unit(self) -> int:
        return 1 if self.kind == "reserve" else 2

    @property
    def to_raw(self) -> float | None:
        return _ratio(self.http.rate, self.raw.rate if self.raw else 0)

    @property
    def to_bare(self) -> float | None:
        return _ratio(self.http.rate * self.requests_a_unit, self.bare.rate if self.bare else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmitRow:
    """A tenant without rules that reserves, one with a whole rule book that reserves, and the latter that has its
    requests admitted, in turns. The first three are medians of the runs.
    """

    connections: int
    plain: Figures
    ruled: Figures
    admit: Figures
    plain_runs: list[Figures]
    ruled_runs: list[Figures]
    admit_runs: list[Figures]

    @property
    def p50_ratio(self) -> float | None:
        return _ratio(self.admit.p50_ms, self.plain.p50_ms)

    @property
    def p99_ratio(self) -> float | None:
        return _ratio(self.admit.p99_ms, self.plain.p99_ms)

    @property
    def rate_ratio(self) -> float | None:
        return _ratio(self.admit.rate, self.plain.rate)

    @property
    def ruled_p50_ratio(self) -> float | None:
        """What the rules cost a plain reserve."""
        return _ratio(self.ruled.p50_ms, self.plain.p50_ms)

    @property
    def admit_to_ruled_p50(self) -> float | None:
        """What choosing and pricing a model costs on top of them."""
        return _ratio(self.admit.p50_ms, self.ruled.p50_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRow:
    """One connection that sends batches; latencies are those of a batch, `rate` counts operations."""

    tenants: int
    size: int
    raw: Figures


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """A tenant with one connection, alone and beside another one's flood."""

    flood_connections: int
    alone: Figures
    beside: Figures
    flood: Figures

    @property
    def p99_ratio(self) -> float | None:
        return _ratio(self.beside.p99_ms, self.alone.p99_ms)

    @property
    def p50_ratio(self) -> float | None:
        return _ratio(self.beside.p50_ms, self.alone.p50_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitedNeighbour(Neighbour):
    """The same where both have a rate limit and requests come by the clock: limits and rates are requests a second."""

    connections: int
    limit: int
    rate: float
    flood_limit: int
    flood_rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Answers that book nothing: a tool policy's over HTTP on one connection, beside the bare view with as many bytes
    both ways, and by the SQL function alone; and the planner's figures in this process, without and with reading its
    file.
    """

    tools: int
    rules: int
    request_bytes: int
    answer_bytes: int
    http: Figures
    bare: Figures
    function: Figures
    plan: Figures
    plan_with_file: Figures

    @property
    def server_p50_ms(self) -> float:
        """What the stack alone takes for as many bytes left out."""
        return round(self.http.p50_ms - self.bare.p50_ms, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTenants:
    """Fifty tenants' traffic alone, and while `made` new tenants are provisioned."""

    made: int
    connections: int
    alone: Figures
    beside: Figures

    @property
    def p99_ratio(self) -> float | None:
        return _ratio(self.beside.p99_ms, self.alone.p99_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisioning:
    """`made` tenants, one after the other, when there were `existing` already."""

    existing: int
    made: int
    p50_ms: float
    p99_ms: float
    max_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """What a connection's first reserve for a tenant takes, and how many kilobytes the backend keeps of it."""

    tenants: int
    first_p50_ms: float
    again_p50_ms: float
    first_cpu_ms: float
    private_kb: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Megabytes (10^6 bytes) after all runs. `private` is what no other process shares: a backend's share of
    shared_buffers is not in it.
    """

    api_process_rss_mb: list[float]
    api_process_private_mb: list[float]
    backends: int
    backend_rss_max_mb: float
    backend_private_max_mb: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One added column in every tenant's schema by `manage.py migrate_all`, cut off after a while. `all_seconds` is
    reckoned from `done`.
    """

    tenants: int
    done: int
    seconds: float

    @property
    def all_seconds(self) -> float | None:
        return round(self.seconds * self.tenants / self.done, 1) if self.done else None


@dataclass(slots=True, kw_only=True)
class ManyTenants:
    """The hot path with few tenants and with all of them, a random one for each request; `first_visit` is each tenant's
    first request in a fresh connection, mostly.
    """

    tenants: int
    few: int
    connections: int
    with_few: Figures
    with_all: Figures
    first_visit: Figures
    migration: Migration | None = None

    @property
    def p50_ratio(self) -> float | None:
        return _ratio(self.with_all.p50_ms, self.with_few.p50_ms)

    @property
    def p99_ratio(self) -> float | None:
        return _ratio(self.with_all.p99_ms, self.with_few.p99_ms)


@dataclass(slots=True, kw_only=True)
class Results:
    """Everything of one run."""

    began_at: str
    commit: str
    is_changed: bool
    machine: Machine
    versions: Mapping[str, str]
    settings: Mapping[str, str | int | float]
    rows: list[Row] = field(default_factory=list)
    admits: list[AdmitRow] = field(default_factory=list)
    batches: list[BatchRow] = field(default_factory=list)
    limited_neighbour: LimitedNeighbour | None = None
    neighbour: Neighbour | None = None
    answers: Answers | None = None
    new_tenants: NewTenants | None = None
    provisioning: list[Provisioning] = field(default_factory=list)
    memory: Memory | None = None
    footprint: Footprint | None = None
    many: ManyTenants | None = None
    seconds: float = 0.0
    audited_tenants: int = 0
    audited_entries: int = 0
    notes: list[str] = field(default_factory=list)
    mismatches: list[str] = field(default_factory=list)

    def row(self, kind: Kind, *, tenants: int, connections: int) -> Row | None:
        for row in self.rows:
            if (row.kind, row.tenants, row.connections) == (kind, tenants, connections):
                return row
        return None


def _ratio(value: float, base: float) -> float | None:
    return round(value / base, 2) if base else None
