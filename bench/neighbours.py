"""A quiet tenant beside another one's flood. The flood is a process of its own."""

from typing import Final

from bench.drive import Generator, drive
from bench.figures import Figures, median_of
from bench.generator import Order
from bench.results import LimitedNeighbour, Neighbour
from bench.scenarios import Session, line
from bench.verify import books_of

FLOOD_CONNECTIONS: Final = 50
#: Requests a second that the rate limits allow.
QUIET_LIMIT: Final = 100
FLOOD_LIMIT: Final = 5
QUIET_RATE: Final = QUIET_LIMIT / 2
FLOOD_RATE: Final = FLOOD_LIMIT * 100.0
QUIET_CONNECTIONS: Final = 10
#: At so few requests a second a p99 takes longer to show, and one slow moment of the machine makes it: in turns.
ROUNDS: Final = 3
_SECONDS_FACTOR: Final = 4 / 3
#: How much longer the flood lasts, for the other load to start and to warm up in.
_MARGIN_SECONDS: Final = 1.0
_WARM_CONNECTIONS: Final = 64
_WARM_SECONDS: Final = 1.0


def measure_limited_neighbour(session: Session) -> None:
    """Both have a rate limit: one keeps to half of it, the other one sends a hundred times what it may."""
    stage, cast = session.stage, session.cast
    seconds = session.options.seconds * _SECONDS_FACTOR
    # Within the burst that the limits allow, so that most of it is refused; what is left meets the tenants' tables.
    for customer in (cast.acme, cast.initech):
        stage.http("reserve", [customer], connections=_WARM_CONNECTIONS, seconds=_WARM_SECONDS)
    quiet = stage.order("reserve", [cast.acme], connections=QUIET_CONNECTIONS, seconds=seconds, rate=QUIET_RATE)
    flood = stage.order(
        "reserve", [cast.initech], connections=FLOOD_CONNECTIONS, seconds=seconds + _MARGIN_SECONDS, rate=FLOOD_RATE
    )
    alone, beside, floods = _in_turns(session, quiet, flood, rounds=ROUNDS * session.options.repeat)
    found = LimitedNeighbour(
        flood_connections=FLOOD_CONNECTIONS,
        alone=median_of(alone),
        beside=median_of(beside),
        flood=median_of(floods),
        connections=QUIET_CONNECTIONS,
        limit=QUIET_LIMIT,
        rate=QUIET_RATE,
        flood_limit=FLOOD_LIMIT,
        flood_rate=FLOOD_RATE,
    )
    session.results.limited_neighbour = found
    session.say(line("at half its limit, alone", found.alone))
    session.say(line("beside a flood at 100 times its limit", found.beside))
    session.say(line("the flood", found.flood))


def measure_neighbour(session: Session) -> None:
    """Nothing limits the flood but the machine, and each of the two has so many connections that never rest."""
    stage, cast, seconds = session.stage, session.cast, session.options.seconds
    quiet = stage.order("reserve", [cast.quiet], connections=1, seconds=seconds)
    flood = stage.order("reserve", [cast.hot], connections=FLOOD_CONNECTIONS, seconds=seconds + _MARGIN_SECONDS)
    alone, beside, floods = _in_turns(session, quiet, flood, rounds=session.options.repeat)
    found = Neighbour(
        flood_connections=FLOOD_CONNECTIONS, alone=median_of(alone), beside=median_of(beside), flood=median_of(floods)
    )
    session.results.neighbour = found
    session.say(line("quiet tenant alone", found.alone))
    session.say(line(f"quiet tenant beside {FLOOD_CONNECTIONS} connections", found.beside))


def _in_turns(
    session: Session, quiet: Order, flood: Order, *, rounds: int
) -> tuple[list[Figures], list[Figures], list[Figures]]:
    """The quiet tenant alone and beside the flood, in turns; and the flood."""
    alone, beside, floods = [], [], []
    accounts = {*quiet.accounts, *flood.accounts}
    customers = [customer for customer in session.cast.customers if customer.account in accounts]
    for _ in range(rounds):
        books = books_of(customers)
        alone.append(drive(quiet))
        load = Generator(flood)
        try:
            load.wait_for("begin")
            beside.append(drive(quiet))
            floods.append(load.figures())
        finally:
            load.end()
        session.stage.mismatches += books.mismatches(alone[-1], beside[-1], floods[-1])
    return alone, beside, floods
