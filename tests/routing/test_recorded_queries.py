"""The classifier on CLINC150: 150 intents in ten domains, and queries that are of none of them.

A domain is a traffic class here. What needs nothing but an answer goes small, what touches calendars, travel and
kitchens goes to the middle, and what touches money goes large; a query of no domain belongs in the middle.
"""

import gzip
import json
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import pytest

from budgets.services.routing_policy import TierName
from routing.services.classifier import DEFAULT_GATE, UNSURE_TIER, Classifier
from routing.services.classifier_storage import from_bytes, to_bytes
from routing.services.classifier_training import Example, train
from routing.services.router_accuracy import Accuracy, Label, accuracy_of
from tests.support.recordings import recorded

SMALL, MEDIUM, LARGE = TierName.SMALL, TierName.MEDIUM, TierName.LARGE
TIERS = {
    "small_talk": SMALL,
    "meta": SMALL,
    "utility": SMALL,
    "home": SMALL,
    "kitchen_and_dining": MEDIUM,
    "auto_and_commute": MEDIUM,
    "work": MEDIUM,
    "travel": MEDIUM,
    "banking": LARGE,
    "credit_cards": LARGE,
}

pytestmark = pytest.mark.slow


@dataclass(frozen=True, slots=True)
class Query:
    text: str
    needed: TierName


@dataclass(frozen=True, slots=True)
class Recording:
    classifier: Classifier
    in_scope: Sequence[Query]
    #: A tenth of all.
    out_of_scope: Sequence[Query]


@pytest.fixture(scope="module")
def recording() -> Recording:
    folder = recorded("clinc150")
    domains: dict[str, list[str]] = json.loads((folder / "domains.json").read_text())
    domain_of = {intent: domain for domain, intents in domains.items() for intent in intents}
    with gzip.open(folder / "data_full.json.gz") as stream:
        queries: dict[str, list[tuple[str, str]]] = json.load(stream)
    trained = train([Example(text, domain_of[intent]) for text, intent in queries["train"]], tiers=TIERS)
    in_scope = [Query(text, TIERS[domain_of[intent]]) for text, intent in queries["test"]]
    strangers = random.Random(150).sample(queries["oos_test"], len(in_scope) // 9)
    return Recording(
        # As it is stored, so that nothing is lost on the way.
        classifier=from_bytes(to_bytes(trained)),
        in_scope=in_scope,
        out_of_scope=[Query(text, UNSURE_TIER) for text, _ in strangers],
    )


def accuracy(classifier: Classifier, queries: Sequence[Query], *, gate: float | None) -> Accuracy:
    return accuracy_of(
        Label(chosen=classifier.classify(query.text, gate=gate).tier, needed=query.needed) for query in queries
    )


def said(name: str, found: Accuracy) -> Accuracy:
    print(
        f"{name}: {found.share:.4f} of {found.labels:,} ({found.interval.low:.4f} to {found.interval.high:.4f}),"
        f" under-routed {found.under_rate:.4f}, over-routed {found.over_rate:.4f}"
    )
    return found


class TestTierAccuracy:
    def test_in_scope_is_at_least_975_of_a_thousand(self, recording: Recording) -> None:
        assert said("in scope", accuracy(recording.classifier, recording.in_scope, gate=None)).share >= 0.975

    def test_with_the_gate_and_a_tenth_out_of_scope_is_at_least_93_percent(self, recording: Recording) -> None:
        queries = [*recording.in_scope, *recording.out_of_scope]

        without = said("10 % out of scope, no gate", accuracy(recording.classifier, queries, gate=None))
        gated = said(
            f"10 % out of scope, gate {DEFAULT_GATE}", accuracy(recording.classifier, queries, gate=DEFAULT_GATE)
        )
        assert gated.share >= 0.93
        assert gated.share > without.share

    def test_in_scope_is_still_at_least_97_percent_with_the_gate(self, recording: Recording) -> None:
        found = accuracy(recording.classifier, recording.in_scope, gate=DEFAULT_GATE)

        assert said(f"in scope, gate {DEFAULT_GATE}", found).share >= 0.97


class TestTime:
    def test_of_a_query_is_about_a_millisecond_at_most(self, recording: Recording) -> None:
        seconds = []
        for query in recording.in_scope[:500]:
            begun = perf_counter()
            recording.classifier.classify(query.text)
            seconds.append(perf_counter() - begun)

        print(f"median {statistics.median(seconds) * 1e6:.0f} µs; {len(to_bytes(recording.classifier)):,} bytes stored")
        assert statistics.median(seconds) < 0.001
