"""What a whole decision costs beside a plain reserve: the rules, the choice of a model, and its price."""

from typing import Final

from bench.customers import Customer
from bench.figures import Figures, median_of
from bench.results import AdmitRow
from bench.scenarios import Session, line
from bench.traffic import Traffic

CONNECTIONS: Final = (1, 10, 32, 200)
#: The three run in turns, so that a slow moment of the machine meets all of them.
ROUNDS: Final = 3
_ROUND_SECONDS_SHARE: Final = 0.25
_WARM_CONNECTIONS: Final = 64
_WARM_SECONDS: Final = 2.0


def measure_admit(session: Session) -> None:
    """Reserves of a tenant without rules, reserves and admissions of one with a whole rule book, in turns."""
    plain, ruled = session.cast.plain, session.cast.ruled
    asked = session.options.connections
    warm: tuple[tuple[Traffic, Customer], ...] = (("reserve", plain), ("admit", ruled))
    for kind, customer in warm:
        session.stage.http(kind, [customer], connections=_WARM_CONNECTIONS, seconds=_WARM_SECONDS)
    for connections in [number for number in asked if number in CONNECTIONS] or asked:
        row = _measure_row(session, plain, ruled, connections=connections)
        session.results.admits.append(row)
        session.say(line(f"reserve without rules, {connections} connections", row.plain))
        session.say(line(f"reserve with rules, {connections} connections", row.ruled))
        session.say(line(f"admit, {connections} connections", row.admit))


def _measure_row(session: Session, plain: Customer, ruled: Customer, *, connections: int) -> AdmitRow:
    seconds = session.options.seconds * _ROUND_SECONDS_SHARE

    def run(kind: Traffic, customer: Customer) -> Figures:
        return session.stage.http(kind, [customer], connections=connections, seconds=seconds)[0]

    plain_runs, ruled_runs, admit_runs = [], [], []
    for _ in range(ROUNDS * session.options.repeat):
        plain_runs.append(run("reserve", plain))
        ruled_runs.append(run("reserve", ruled))
        admit_runs.append(run("admit", ruled))
    return AdmitRow(
        connections=connections,
        plain=median_of(plain_runs),
        ruled=median_of(ruled_runs),
        admit=median_of(admit_runs),
        plain_runs=plain_runs,
        ruled_runs=ruled_runs,
        admit_runs=admit_runs,
    )
