"""Answers that book nothing: which of 200 tools may be offered, and the planner's figures."""

import json
import time
from collections.abc import Callable
from typing import Final

import msgspec

from bench.asks import TOOLS, tools_body
from bench.customers import Customer
from bench.direct import OneConnection
from bench.errors import BenchRefused
from bench.figures import Figures, figures_of, median_of
from bench.results import Answers
from bench.rulebook import RULES
from bench.scenarios import Session, line
from bench.traffic import SUBJECT
from config.environment import BASE_DIR
from routing.services.plan_file import read_plan_file
from routing.services.planner import make_plan

PLAN_FILE: Final = BASE_DIR / "examples" / "support-agent.toml"
_FUNCTION_SECONDS: Final = 1.0
_PLAN_SECONDS: Final = 0.5


def measure_answers(session: Session) -> None:
    """A tool policy's answer, beside the bare view's in turns; then the SQL function alone, and the planner."""
    stage, ruled, seconds = session.stage, session.cast.ruled, session.options.seconds
    stage.http("tools", [ruled], connections=8, seconds=min(seconds, 1))
    over_http, bare = [], []
    for _ in range(session.options.repeat):
        over_http.append(stage.http("tools", [ruled], connections=1, seconds=seconds)[0])
        bare.append(stage.bare_http(ruled.account, connections=1, seconds=seconds, kind="tools"))
    raw = PLAN_FILE.read_bytes()
    table = read_plan_file(raw)
    found = Answers(
        tools=len(TOOLS),
        rules=len(RULES),
        request_bytes=len(json.dumps(tools_body({"tenant": ruled.account.slug, **SUBJECT}), separators=(",", ":"))),
        answer_bytes=stage.tools_answer_bytes,
        http=median_of(over_http),
        bare=median_of(bare),
        function=tool_verdicts(ruled, seconds=_FUNCTION_SECONDS),
        plan=timed(lambda: make_plan(table), seconds=_PLAN_SECONDS),
        plan_with_file=timed(lambda: make_plan(read_plan_file(raw)), seconds=_PLAN_SECONDS),
    )
    session.results.answers = found
    session.say(line(f"{found.tools} tools, {found.rules} rules, 1 connection", found.http))
    session.say(line("bare view, as many bytes", found.bare))
    session.say(line("the SQL function alone", found.function))
    session.say(line("planner", found.plan))


def tool_verdicts(customer: Customer, *, seconds: float) -> Figures:
    """The tool policy's word on all tools, asked of the door on one connection. Raises `BenchRefused` if refused."""
    question = msgspec.json.encode(
        {
            "key_id": customer.key_id,
            "digest": customer.digest,
            "tenant": customer.account.slug,
            "names": TOOLS,
        }
    )
    with OneConnection() as direct:
        answer = msgspec.json.decode(direct.call(customer.tag, "tools", question))
        if answer["status"] != "OK" or len(answer["verdicts"]) != len(TOOLS):
            raise BenchRefused(f"The books refused the question about tools: {answer['status']}")
        return timed(lambda: direct.call(customer.tag, "tools", question), seconds=seconds)


def timed(work: Callable[[], object], *, seconds: float) -> Figures:
    """The same work again and again, one after the other."""
    latencies_s = []
    began = now = time.perf_counter()
    while now - began < seconds:
        work()
        before, now = now, time.perf_counter()
        latencies_s.append(now - before)
    return figures_of(latencies_s, seconds=now - began)
