"""Every refusal of a rule is explained: the sentence, the check that refused, and what can be done."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from django.test import Client

from budgets.api.runtime import refusals
from budgets.console import remedies
from budgets.console.checks import Outcome
from budgets.console.explanation import Explanation, explain
from budgets.console.wording import reason_codes
from budgets.models import RunTemplate
from budgets.selectors.decision_records import decision_record
from budgets.services.front import RateLimit
from budgets.services.operations import Answer
from budgets.services.rates import Limited
from budgets.services.rule_parts import Fallback, OnExhaustion
from budgets.services.switches import lift_switch, throw_switch
from kernel.actor import Actor
from kernel.pages.phrases import plain
from kernel.stops import Stop
from kernel.switches import SwitchLevel, SwitchMode
from kernel.tenancy import in_tenant
from tenants.models import PlatformSwitch
from tenants.services.platform_switches import throw_platform_switch
from tests.support.books import Books
from tests.support.console import CENT, DOLLAR, explain_address
from tests.support.owner import delete_shared
from tests.support.rules import LARGE, SMALL, allowing, denying, quota, rule

OLIVE: Final = Actor(name="olive", actor_type="admin", reason="An agent leaks.")
SQL: Final = Path(__file__).parents[2] / "tenants" / "sql" / "judge" / "check_of_v1.sql"
MAIL: Final = {"kind": "message.email", "name": "smtp"}
SLACK: Final = {"kind": "tool.call", "name": "slack.post"}
NO_SLACK: Final = {"default": "allow", "version": 3, "rules": [{"pattern": "slack.*", "verdict": "deny"}]}
SWITCHES, RUN, POLICIES, RATE, QUOTAS, ROUTES = (
    "Switches",
    "Run limits",
    "Policies",
    "Rate and size",
    "Quotas",
    "Routes",
)

type Ask = Callable[[Books], Answer]


@dataclass(frozen=True, slots=True)
class Refusal:
    """The reason, the rules, what is asked, what the sentence says, which check it is, and one remedy."""

    reason: str
    rules: dict[str, Any]
    ask: Ask
    cause: str
    check: str
    remedy: str


@pytest.fixture
def books(books: Books) -> Books:
    books.add_budget(allocated=10 * DOLLAR)
    return books


def explained(books: Books, answer: Answer) -> Explanation:
    with in_tenant(books.tenant.tag):
        record = decision_record(answer.id)
    assert record is not None
    return explain(record, time_zone="Asia/Kolkata", now=record.at)


def outcomes(explanation: Explanation) -> dict[str, Outcome]:
    """Of each check, by the words before its colon."""
    return {plain(check.words).partition(":")[0]: check.outcome for check in explanation.checks}


def admit(books: Books, request: dict[str, Any] | None = None, **fields: Any) -> Answer:
    return books.ask("reserve", endpoint="admit", facts=request or {"input_tokens": 1_000}, **fields)


def last(*asks: Ask) -> Ask:
    """The answer to the last of these."""

    def ask(books: Books) -> Answer:
        return [each(books) for each in asks][-1]

    return ask


def asking(**fields: Any) -> Ask:
    return lambda books: books.ask("reserve", **{"amount": 1} | fields)


def admitting(request: dict[str, Any] | None = None, **fields: Any) -> Ask:
    return lambda books: admit(books, request, **fields)


def limited(books: Books) -> Answer:
    bucket = RateLimit(name="calls", level="tenant", counts="requests", capacity=5, per_minute=60)
    refused = Limited(limit=bucket, left=0, wait_ms=1_500, is_sample=True, refused_before=7)
    return admit(books, {"rate_limited": refused.numbers()})


def nearly_gone(books: Books) -> Answer:
    books.ask("reserve", amount=93 * DOLLAR // 10)
    return books.ask("reserve", amount=1, priority="low")


REFUSALS: Final = [
    Refusal(
        "MAX_ITERATIONS_REACHED",
        {"run": {"iterations_max": 2, "fallback": "partial_result"}},
        last(*[asking(run="r1")] * 3),
        "run r1 had done 2 iterations and may do 2",
        RUN,
        "The run ends here: the runtime answers with what it has so far.",
    ),
    Refusal(
        "MAX_TOKENS_REACHED",
        {"run": {"tokens_max": 3_000}},
        last(*[admitting({"input_tokens": 1_000, "max_output_tokens": 1_000}, run="r1")] * 2),
        "run r1 may use 3,000 tokens, had used or held 2,000 of them, and the call needed 2,000",
        RUN,
        "Ask for at most 1,000 tokens, input and output together.",
    ),
    Refusal(
        "MAX_WALL_TIME_REACHED",
        {"run": {"wall_seconds_max": 60}},
        lambda books: admit(books, {"run": {"started_at_ms": _ago(minutes=10)}}, run="r1"),
        "run r1 had run for 10 min and may run for 1 min",
        RUN,
        "Begin a new run.",
    ),
    Refusal(
        "ACTION_KIND_DENIED",
        {"actions": denying("message.email")},
        asking(action=MAIL),
        "policy p1 denies actions of kind message.email",
        POLICIES,
        "Change policy p1 if the tenant should do this.",
    ),
    Refusal(
        "ACTION_KIND_NOT_ALLOWED",
        {"actions": allowing("llm.completion", "db.read")},
        asking(action=MAIL),
        "policy p1 allows some kinds of actions, and message.email is none of them",
        POLICIES,
        "Use an action of a kind that is allowed: llm.completion, db.read.",
    ),
    Refusal(
        "TOOL_DENIED",
        {"tools": NO_SLACK},
        asking(action=SLACK),
        "the tool slack.post is denied by version 3 of the tool policy",
        POLICIES,
        "Leave the tool out.",
    ),
    Refusal(
        "TOOL_GATED",
        {"tools": {"default": "gated"}},
        asking(action=SLACK),
        "the tool slack.post needs a person's approval under the tool policy.",
        POLICIES,
        "Let a person decide on the call.",
    ),
    Refusal(
        "TOOL_DENIED",
        {"tools": NO_SLACK | {"version": 0}},
        asking(action=SLACK),
        "the tool slack.post is denied by the plan's tool policy.",
        POLICIES,
        "Allow it in the tool policy, or choose a plan that has it.",
    ),
    Refusal(
        "MODEL_UNKNOWN",
        {},
        admitting({"model": "nobody:nothing"}),
        "the model nobody:nothing has no price",
        POLICIES,
        "Approve a price for the model.",
    ),
    Refusal(
        "MODEL_NOT_ALLOWED",
        {"models_refused": ["openai:o3"]},
        admitting({"model": "openai:o3"}),
        "the plan does not include the model openai:o3",
        POLICIES,
        "Change the plan, or allow the model to this tenant.",
    ),
    Refusal(
        "RATE_LIMITED",
        {},
        limited,
        "the rate limit calls of the tenant was used up: 60 requests a minute, in bursts of at most 5",
        RATE,
        "Repeat the call 1.5 s after it was refused.",
    ),
    Refusal(
        "TOKENS_PER_REQUEST_EXCEEDED",
        {"limits": {"input_tokens_max": 999}},
        admitting(),
        "it had 1,000 input tokens, and a request may have 999",
        RATE,
        "Send at most 999 input tokens: shorten the context.",
    ),
    Refusal(
        "ACTION_QUOTA_EXCEEDED",
        {"actions": quota(1, kind="message.email")},
        last(*[asking(action=MAIL)] * 2),
        "quota q1 gives tenant acme 1 action such as message.email a day, and 1 had been done",
        QUOTAS,
        "Raise the quota in policy p1.",
    ),
    Refusal(
        "RUNS_PER_DAY_EXCEEDED",
        {"limits": {"runs_per_day_max": 1}},
        last(asking(run="r1"), asking(run="r2")),
        "tenant acme had begun 1 run and may begin 1 a day",
        QUOTAS,
        "Go on in a run that has begun.",
    ),
    Refusal(
        "RUNS_PER_MONTH_EXCEEDED",
        {"limits": {"runs_per_month_max": 1}},
        last(asking(run="r1"), asking(run="r2")),
        "tenant acme had begun 1 run and may begin 1 a month",
        QUOTAS,
        "Raise the runs a month in the plan.",
    ),
    Refusal(
        "CONCURRENT_RUNS_EXCEEDED",
        {"limits": {"concurrent_runs_max": 1}},
        last(asking(run="r1"), asking(run="r2")),
        "1 run was under way, and at most 1 may be at once",
        QUOTAS,
        "Raise the number of runs at once in the plan.",
    ),
    Refusal(
        "RUN_REQUIRED",
        {"actions": quota(1, window="per_run")},
        asking(),
        "the quota q1 counts within a run, and the call named none",
        QUOTAS,
        "Send the run in subject.dimensions.run.",
    ),
    Refusal(
        "BELOW_FLOOR",
        {"low_water": {}},
        nearly_gone,
        "only 7% of the tightest budget was left, which is kept for work above low priority",
        ROUTES,
        "Fund the budget, or wait for its next period.",
    ),
    Refusal(
        "NO_ROUTE",
        {},
        admitting({"capabilities": ["vision"]}),
        "no model for class chat has the room and the capabilities that it asked for",
        ROUTES,
        "Add a model to the tier of the class.",
    ),
    Refusal(
        "NO_ROUTE",
        {},
        admitting({"unavailable": ["openai:gpt-4o-mini"]}),
        "; no capacity was left of openai:gpt-4o-mini",
        ROUTES,
        "Repeat the call: capacity comes back as other calls end.",
    ),
]


def _ago(**units: int) -> int:
    return int((datetime.now(UTC) - timedelta(**units)).timestamp() * 1000)


class TestRefusalOfARule:
    @pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.reason)
    def test_says_which_rule_refused_and_what_can_be_done(self, books: Books, refusal: Refusal) -> None:
        rule(books, **refusal.rules)

        answer = refusal.ask(books)
        explanation = explained(books, answer)

        assert answer.status == refusal.reason
        text = plain(explanation.summary)
        assert re.match(r"This (reservation|admission) was denied at \d\d:\d\d:\d\d IST because ", text)
        assert refusal.cause in text
        assert refusal.remedy in explanation.remedies
        found = list(outcomes(explanation).items())
        place = [name for name, _ in found].index(refusal.check)
        assert [outcome for _, outcome in found] == [
            *[Outcome.PASS] * place,
            Outcome.DENY,
            *[Outcome.NOT_REACHED] * (len(found) - place - 1),
        ]


class TestRefusalOfASwitch:
    @pytest.fixture
    def shared(self, database: None) -> Iterator[None]:
        yield
        delete_shared(PlatformSwitch.objects.all())

    def test_says_who_stopped_what_and_why(self, books: Books) -> None:
        throw_switch(
            tag=books.tenant.tag,
            stop=Stop(level=SwitchLevel.AGENT, name="triage", reason="It answers itself"),
            actor=OLIVE,
        )

        answer = books.ask("reserve", amount=1, subject={"tenant": "acme", "agent": "triage"})
        explanation = explained(books, answer)

        assert re.search(
            r"because olive had stopped agent triage at \d\d:\d\d:\d\d IST, giving the reason “It answers itself”\.",
            plain(explanation.summary),
        )
        assert outcomes(explanation)[SWITCHES] is Outcome.DENY
        assert explanation.remedies == ("Resume agent triage when the reason is gone: until then the switch refuses.",)

    @pytest.mark.parametrize(
        ("mode", "note"),
        [
            (SwitchMode.STOP_NEW, "Stopped by an operator; work under way may settle"),
            (SwitchMode.CANCEL_HOLDS, "Stopped by an operator; what was held is given back"),
        ],
    )
    def test_says_what_becomes_of_running_work(self, books: Books, mode: SwitchMode, note: str) -> None:
        throw_switch(
            tag=books.tenant.tag, stop=Stop(level=SwitchLevel.TENANT, mode=mode, reason="Too dear"), actor=OLIVE
        )

        checks = explained(books, asking()(books)).checks

        assert [check.note for check in checks if check.outcome is Outcome.DENY] == [note]

    def test_says_when_it_ends_by_itself(self, books: Books) -> None:
        throw_switch(
            tag=books.tenant.tag,
            stop=Stop(level=SwitchLevel.TENANT, reason="Too dear", ends_at=datetime.now(UTC) + timedelta(hours=1)),
            actor=OLIVE,
        )

        explanation = explained(books, asking()(books))

        assert "had stopped the tenant at" in plain(explanation.summary)
        assert explanation.remedies[1].startswith("The switch ends by itself at ")

    def test_says_that_it_was_lifted(self, books: Books) -> None:
        throw_switch(
            tag=books.tenant.tag, stop=Stop(level=SwitchLevel.KEY, name=books.key.key_id, reason="Lost"), actor=OLIVE
        )
        answer = asking()(books)
        lift_switch(tag=books.tenant.tag, level=SwitchLevel.KEY, name=books.key.key_id, actor=OLIVE)

        explanation = explained(books, answer)

        assert f"had stopped key {books.key.key_id} at" in plain(explanation.summary)
        assert explanation.remedies[0].startswith("Repeat the call: the switch was lifted at ")
        assert explanation.remedies[0].endswith(", by olive.")

    def test_names_nobody_for_a_reason_that_was_another_s(self, books: Books) -> None:
        throw_switch(tag=books.tenant.tag, stop=Stop(level=SwitchLevel.TENANT, reason="First"), actor=OLIVE)
        answer = asking()(books)
        ben = Actor(name="ben", actor_type="admin", reason="x")
        throw_switch(tag=books.tenant.tag, stop=Stop(level=SwitchLevel.TENANT, reason="Second"), actor=ben)

        text = plain(explained(books, answer).summary)

        assert "because an operator had stopped the tenant, giving the reason “First”." in text

    def test_knows_the_platform_s_switches(self, books: Books, shared: None) -> None:
        throw_platform_switch(
            stop=Stop(level=SwitchLevel.PROVIDER, name="openai", mode=SwitchMode.STOP_NEW, reason="Outage"), actor=OLIVE
        )

        answer = asking(action={"kind": "llm.completion", "name": "openai:gpt-4o"})(books)

        assert "because olive had stopped provider openai at " in plain(explained(books, answer).summary)


class TestRefusalOfARunsMoney:
    def test_says_what_the_run_had_left_and_what_the_plan_offers(self, books: Books, browser: Client) -> None:
        rule(books, on_exhaustion={"session": ["shorter", "upgrade_prompt"], "month": ["overage"]})
        with in_tenant(books.tenant.tag):
            RunTemplate.objects.create(name="chat", unit="USD_MICROCENTS", amount=CENT, is_default=True)

        answer = admit(books, amount=2 * CENT, run="r1")
        explanation = explained(books, answer)

        assert "because run r1 had $0.01 left and the call needed $0.02." in plain(explanation.summary)
        assert explanation.checks[-1].outcome is Outcome.DENY
        assert explanation.remedies == (
            "Fund the budget of run r1, or begin a new run.",
            "Ask for what costs at most $0.01: fewer tokens, or a cheaper model.",
            "The plan provides for this: shorter answers, an offer to upgrade.",
            "The run ends here: the runtime answers with an interim message.",
        )
        assert "MAX_COST_REACHED" in browser.get(explain_address(books, answer.id)).content.decode()

    def test_says_when_a_count_begins_anew(self, books: Books) -> None:
        rule(books, limits={"runs_per_day_max": 0})

        remedy = explained(books, asking(run="r1")(books)).remedies[0]

        assert re.fullmatch(r"The count begins anew [A-Z][a-z]{2} \d+,( \d{4},)? \d\d:\d\d IST\.", remedy)

    def test_gives_a_new_run_a_quota_of_its_own(self, books: Books) -> None:
        rule(books, actions=quota(0, window="per_run"))

        assert "Begin a new run: it has a quota of its own." in explained(books, asking(run="r1")(books)).remedies


class TestAllowed:
    def test_shows_the_model_its_price_and_why_it_was_chosen(self, books: Books) -> None:
        price = SMALL["price"] | {"source": "multiplier", "version": "2026-11-20/7", "per_call": CENT}  # type: ignore[operator]
        models = {"openai:gpt-4o-mini": SMALL | {"price": price, "deployment": "eu-1"}, "openai:gpt-4o": LARGE}
        rule(books, models=models)

        facts = {fact.name: plain(fact.words) for fact in explained(books, admit(books)).route}

        assert facts == {
            "Model": "openai:gpt-4o-mini at eu-1",
            "Class": "chat",
            "Tier": "small",
            "Price": "$0.15 in and $0.60 out, for 1,000,000 tokens; $0.01 a call",
            "Price source": "the price book with the tenant's multiplier, version 2026-11-20/7",
            "Held for": "2,000 tokens, input and output together",
        }

    def test_says_that_the_route_was_degraded(self, books: Books) -> None:
        rule(books, low_water={}, classes={"chat": {"tier": "large", "output_tokens_max": 1_000}})
        books.ask("reserve", amount=9 * DOLLAR)

        facts = {fact.name: plain(fact.words) for fact in explained(books, admit(books)).route}

        assert facts["Tier"] == "small, degraded: the budget was below its low-water mark"

    def test_says_that_the_request_named_the_model(self, books: Books) -> None:
        rule(books)

        facts = {
            fact.name: plain(fact.words) for fact in explained(books, admit(books, {"model": "openai:gpt-4o"})).route
        }

        assert (facts["Model"], facts["Tier"]) == ("openai:gpt-4o", "none: the request named the model")

    def test_shows_the_caps_and_what_is_left_of_the_run(self, books: Books) -> None:
        rule(
            books,
            run={"iterations_max": 5, "tokens_max": 10_000, "wall_seconds_max": 600, "fallback": "escalate"},
            tools=NO_SLACK,
            classes={
                "chat": {
                    "tier": "small",
                    "output_tokens_max": 500,
                    "cooldown_ms": 250,
                    "timeouts": {"total_ms": 30_000, "model_ms": 12_500, "tools": {"search": 2_000}},
                }
            },
        )

        answer = admit(books, {"input_tokens": 1_000, "tools": ["slack.post", "zendesk.read"]}, run="r1")
        explanation = explained(books, answer)

        assert plain(explanation.summary).startswith("This admission was allowed with caps at ")
        assert {fact.name: plain(fact.words) for fact in explanation.caps} == {
            "Answer": "at most 500 tokens",
            "Steps after this": "4 iterations",
            "Tools offered": "zendesk.read",
            "Tools left out": "slack.post",
            "Pause": "250 ms before the next call",
            "Left of the run": "4 iterations, 9,000 tokens, 10 min",
            "At its limit": "the runtime hands over to a person",
            "Timeouts": "30 s in all, 12.5 s for the model, 2 s for search",
        }
        assert list(outcomes(explanation)) == [
            f"Key {books.key.key_id}",
            "Idempotency key key-1",
            SWITCHES,
            RUN,
            POLICIES,
            RATE,
            QUOTAS,
            ROUTES,
            "Budgets on the path",
            "Tenant budget acme",
        ]
        assert set(outcomes(explanation).values()) == {Outcome.PASS}

    def test_lists_no_rules_where_there_are_none(self, books: Books) -> None:
        explanation = explained(books, asking()(books))

        assert explanation.route == explanation.caps == ()
        assert not {RUN, POLICIES, RATE, QUOTAS, ROUTES} & set(outcomes(explanation))

    def test_shows_route_and_caps_on_the_page_and_the_verdict_in_the_list(self, books: Books, browser: Client) -> None:
        rule(books)
        answer = admit(books)

        page = browser.get(explain_address(books, answer.id)).content.decode()
        listed = browser.get("/ops/tenants/acme/decisions/").content.decode()

        assert "<code>openai:gpt-4o-mini</code>" in page
        assert "Caps and limits" in page
        assert "Allowed with caps" in page
        assert "Allowed with caps" in listed
        assert "admission" in listed


class TestShadow:
    @pytest.mark.parametrize(
        ("rules", "ask", "cause", "check"),
        [
            (
                {"actions": denying("message.email")},
                asking(action=MAIL),
                "a policy denies actions of this kind",
                POLICIES,
            ),
            ({"tools": NO_SLACK}, asking(action=SLACK), "the tool policy denies the tool", POLICIES),
            ({"limits": {"runs_per_day_max": 0}}, asking(run="r1"), "the runs of the day were used up", QUOTAS),
            ({"tiers": {}}, admitting(), "no model was found to price it by, and it brought no estimate", ROUTES),
        ],
    )
    def test_says_what_a_rule_would_have_refused(
        self, books: Books, rules: dict[str, Any], ask: Ask, cause: str, check: str
    ) -> None:
        rule(books, shadow={"is_on": True}, **rules)

        explanation = explained(books, ask(books))

        assert plain(explanation.shadow) == f"Let through in shadow: would have been denied because {cause}."
        assert plain(explanation.summary).startswith(
            ("This reservation was allowed at", "This admission was allowed at")
        )
        assert outcomes(explanation)[check] is Outcome.WOULD_DENY
        assert outcomes(explanation)["Tenant budget acme"] is Outcome.PASS
        assert explanation.remedies == ()

    def test_does_not_say_that_quotas_were_counted(self, books: Books) -> None:
        rule(books, shadow={"is_on": True}, actions=denying("message.email"))

        found = outcomes(explained(books, asking(action=MAIL)(books)))

        assert found[QUOTAS] is Outcome.NOT_REACHED
        assert found["Budgets on the path"] is Outcome.PASS

    @pytest.mark.parametrize(("admission", "outcome"), [({}, Outcome.NOT_REACHED), ({"tokens": 1_000}, Outcome.PASS)])
    def test_says_that_later_rules_were_passed_where_they_found_something(
        self, books: Books, admission: dict[str, Any], outcome: Outcome
    ) -> None:
        rule(books, shadow={"is_on": True}, actions=denying("message.email"))
        with in_tenant(books.tenant.tag):
            record = decision_record(asking(action=MAIL)(books).id)
        assert record is not None

        found = outcomes(explain(replace(record, admission=admission), time_zone="UTC", now=record.at))

        assert (found[RATE], found[ROUTES]) == (outcome, outcome)

    def test_shows_no_caps_that_were_not_told(self, books: Books) -> None:
        rule(books, shadow={"is_on": True}, actions=denying("llm.completion"), run={"iterations_max": 5})

        answer = admit(books, run="r1")

        assert answer.verdict == "ALLOW"
        assert {fact.name for fact in explained(books, answer).caps} <= {"Left of the run", "At its limit"}

    def test_says_what_a_budget_would_have_refused_and_by_how_much(self, books: Books) -> None:
        rule(books, shadow={"is_on": True})
        books.add_budget("/workspace:marketing", allocated=41 * CENT)

        answer = asking(amount=128 * CENT, suffixes=["", "/workspace:marketing"])(books)
        explanation = explained(books, answer)

        assert plain(explanation.shadow) == (
            "Let through in shadow: would have been denied because"
            " workspace marketing had $0.41 left and the call needed $1.28."
        )
        assert [check.outcome for check in explanation.checks[-2:]] == [Outcome.PASS, Outcome.WOULD_DENY]
        assert plain(explanation.checks[-2].words).endswith("$10.00 left of $10.00, needs $1.28")
        assert explanation.checks[-1].note == "short by $0.87"

    def test_keeps_the_words_of_two_refusals_apart(self, books: Books) -> None:
        rule(books, shadow={"is_on": True}, actions=denying("message.email"))

        explanation = explained(books, asking(action=MAIL, amount=11 * DOLLAR)(books))

        assert plain(explanation.shadow).endswith("because a policy denies actions of this kind.")
        assert explanation.checks[-1].outcome is Outcome.WOULD_DENY

    def test_says_both_where_something_else_refused(self, books: Books) -> None:
        rule(books, shadow={"checks": ["actions"]}, actions=denying("message.email"))

        explanation = explained(books, asking(action=MAIL, amount=11 * DOLLAR)(books))

        assert "because tenant acme had $10.00 left and the call needed $11.00." in plain(explanation.summary)
        assert plain(explanation.shadow).endswith("because a policy denies actions of this kind.")
        assert outcomes(explanation)[POLICIES] is Outcome.WOULD_DENY
        assert explanation.checks[-1].outcome is Outcome.DENY

    def test_is_marked_on_the_page_and_in_the_list(self, books: Books, browser: Client) -> None:
        rule(books, shadow={"is_on": True}, actions=denying("message.email"))
        answer = asking(action=MAIL)(books)

        for address in (explain_address(books, answer.id), "/ops/tenants/acme/decisions/"):
            text = browser.get(address).content.decode()
            assert "Would deny" in text
            assert "Action denied" in text


class TestWords:
    def test_every_status_of_the_engine_has_a_heading(self) -> None:
        # Who shows no good key leaves no decision behind.
        statuses = set(refusals._OF_STATUS) - {"UNAUTHORIZED"}
        judged = set(re.findall(r"'([A-Z]+(?:_[A-Z]+)+)'", SQL.read_text()))

        assert (statuses | judged) - set(reason_codes()) == set()

    def test_every_status_has_a_sentence_even_without_its_numbers(self, books: Books) -> None:
        with in_tenant(books.tenant.tag):
            record = decision_record(books.ask("reserve", amount=11 * DOLLAR).id)
        assert record is not None

        for reason in reason_codes():
            explanations = [
                explain(
                    replace(record, endpoint=endpoint, reason_code=reason, run_id="r1", numbers={}),
                    time_zone="UTC",
                    now=record.at,
                )
                for endpoint in ("reserve", "commit")
            ]
            assert "the answer was" not in plain(explanations[0].summary)
            assert Outcome.DENY in {check.outcome for each in explanations for check in each.checks}, reason

    def test_every_rule_s_status_is_refused_in_these_tests(self) -> None:
        judged = set(re.findall(r"'([A-Z]+(?:_[A-Z]+)+)'", SQL.read_text()))
        of_budgets = {"BUDGET_EXCEEDED", "OVERDRAFT_LIMIT_EXCEEDED", "DEBT_OUTSTANDING"}

        assert judged - of_budgets - {refusal.reason for refusal in REFUSALS} == set()

    def test_everything_that_a_plan_offers_has_words(self) -> None:
        assert set(remedies._OFFERS) == set(OnExhaustion)
        assert set(remedies._FALLBACKS) == set(Fallback)
