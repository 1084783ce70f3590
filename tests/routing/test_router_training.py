"""Training a tenant's router from its own examples, and asking it: per tenant, bounded, behind the gate."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from budgets.models import RouterModel
from budgets.services.routing_policy import TierName
from kernel.ids import Tag, mint_tag
from kernel.tenancy import in_tenant
from routing.services import router_training
from routing.services.classifier import TEXT_LENGTH_MAX, Classifier
from routing.services.classifier_cache import ClassifierCache, size_of
from routing.services.router_training import EXAMPLES_A_CLASS_MIN
from telemetry.models import AuditEntry
from tenants.models import Tenant
from tests.support.books import Books
from tests.support.management import Caller, as_tenant
from tests.support.rules import rule

CHAT = ["hello there", "good morning", "how are you", "thanks a lot", "hi friend"]
DEEP = ["refund my payment", "dispute the charge", "audit this invoice", "explain the contract", "sue the vendor"]


@pytest.fixture
def ada(acme: Tenant) -> Caller:
    rule(Books(acme))
    return as_tenant(acme)


def examples(count: int = 20) -> list[dict[str, str]]:
    endings = ["", " please", " now", " today", " again"]
    return [
        {"text": f"{texts[n % 5]}{endings[n // 5 % 5]}", "class": name}
        for name, texts in (("chat", CHAT), ("deep", DEEP))
        for n in range(count)
    ]


def train(caller: Caller, rows: list[Any], slug: str = "acme") -> Any:
    return caller.post(f"tenants/{slug}/router/train", {"examples": rows, "reason": "the first"})


def classify(caller: Caller, text: str, slug: str = "acme") -> Any:
    return caller.post(f"tenants/{slug}/router/classify", {"text": text})


class TestTraining:
    def test_makes_versions_and_measures_them(self, ada: Caller, acme: Tenant) -> None:
        first, second = train(ada, examples()), train(ada, examples())

        assert first.status_code == 201, first.json()
        assert (first.json()["version"], second.json()["version"]) == (1, 2)
        assert (first.json()["examples"], first.json()["accuracy_ppm"]) == (40, 1_000_000)
        assert ada.get("tenants/acme/router").json()["model"] == second.json()
        with in_tenant(acme.tag):
            assert AuditEntry.objects.filter(action="router.trained").count() == 2

    def test_keeps_few_old_versions(self, ada: Caller, acme: Tenant) -> None:
        for _ in range(5):
            train(ada, examples(12))

        with in_tenant(acme.tag):
            assert list(RouterModel.objects.order_by("version").values_list("version", flat=True)) == [3, 4, 5]

    @pytest.mark.parametrize(
        ("rows", "words"),
        [
            ([], "must not be empty"),
            ([{"text": "", "class": "chat"}], "text must not be empty"),
            ([{"text": "x" * (TEXT_LENGTH_MAX + 1), "class": "chat"}], "text is too long"),
            ([{"text": "x"}], "class is missing"),
            (examples(EXAMPLES_A_CLASS_MIN - 1), f"needs at least {EXAMPLES_A_CLASS_MIN}"),
            ([row for row in examples() if row["class"] == "chat"], "2 to 200 classes"),
            ([row | {"class": "x" + row["class"]} for row in examples()], "has no tier"),
        ],
    )
    def test_is_refused(self, ada: Caller, acme: Tenant, rows: list[Any], words: str) -> None:
        response = train(ada, rows)

        assert response.status_code == 400
        assert words in response.json()["message"]
        assert response.json()["details"]["field"].startswith("examples")
        with in_tenant(acme.tag):
            assert not RouterModel.objects.exists()

    def test_needs_just_enough_examples(self, ada: Caller) -> None:
        assert train(ada, examples(EXAMPLES_A_CLASS_MIN)).status_code == 201


class TestClassification:
    def test_names_class_and_tier_and_is_unsure_of_what_it_never_saw(self, ada: Caller) -> None:
        train(ada, examples())

        known = classify(ada, "Good morning, how are you today").json()
        strange = classify(ada, "quantum chromodynamics").json()

        assert (known["class"], known["tier"], known["is_unsure"], known["model_version"]) == (
            "chat",
            "small",
            False,
            1,
        )
        assert known["confidence_ppm"] > 650_000
        assert (strange["tier"], strange["is_unsure"]) == ("medium", True)

    def test_without_a_classifier_is_409(self, ada: Caller) -> None:
        assert classify(ada, "hello").status_code == 409

    @pytest.mark.parametrize("text", ["", "x" * (TEXT_LENGTH_MAX + 1), 5])
    def test_of_no_text_is_400(self, ada: Caller, text: Any) -> None:
        assert classify(ada, text).status_code == 400

    def test_is_each_tenant_s_own(self, ada: Caller, initech: Tenant) -> None:
        others = Books(initech)
        rule(others)
        # The other way round: what is chat to acme is deep to initech.
        swapped = [row | {"class": "deep" if row["class"] == "chat" else "chat"} for row in examples()]
        peter = as_tenant(initech)
        train(ada, examples())
        assert classify(peter, "good morning", "initech").status_code == 409
        assert train(peter, swapped, "initech").status_code == 201

        assert classify(ada, "good morning").json()["class"] == "chat"
        assert classify(peter, "good morning", "initech").json()["class"] == "deep"
        assert classify(ada, "good morning").json()["class"] == "chat"
        assert classify(peter, "good morning").status_code == 404

    def test_is_by_the_newest_version_at_once(self, ada: Caller) -> None:
        train(ada, examples())
        assert classify(ada, "good morning").json()["model_version"] == 1
        train(ada, [row | {"class": "deep" if row["class"] == "chat" else "chat"} for row in examples()])

        answer = classify(ada, "good morning").json()

        assert (answer["model_version"], answer["class"]) == (2, "deep")

    def test_reads_a_classifier_once(self, ada: Caller, acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
        train(ada, examples())
        classify(ada, "good morning")
        monkeypatch.setattr(router_training, "from_bytes", None)

        assert classify(ada, "good morning").status_code == 200

    def test_of_bytes_that_are_no_classifier_is_409(self, ada: Caller, acme: Tenant) -> None:
        train(ada, examples())
        with in_tenant(acme.tag):
            RouterModel.objects.update(content=b"PK\x03\x04 something else")

        assert classify(ada, "hello").status_code == 409


class TestCache:
    @staticmethod
    def classifier(terms: int) -> Classifier:
        return Classifier(
            labels=("a", "b"),
            tiers=(TierName.SMALL, TierName.LARGE),
            vocabulary={str(n): n for n in range(terms)},
            idf=np.ones(terms, dtype=np.float32),
            weights=np.ones((terms, 2), dtype=np.float32),
            bias=np.ones(2, dtype=np.float32),
        )

    def test_lets_the_longest_unused_go(self) -> None:
        one = self.classifier(10)
        cache = ClassifierCache(bytes_max=size_of(one) * 2)
        tags = [mint_tag() for _ in range(3)]
        cache.put(tags[0], 1, one)
        cache.put(tags[1], 1, one)
        assert cache.get(tags[0], 1) is one

        cache.put(tags[2], 1, one)

        assert [cache.get(tag, 1) is one for tag in tags] == [True, False, True]

    def test_keeps_one_version_of_a_tenant(self) -> None:
        cache, tag = ClassifierCache(), mint_tag()
        for version in (1, 2):
            cache.put(tag, version, self.classifier(3))

        assert (len(cache), cache.get(tag, 1)) == (1, None)

    @pytest.mark.parametrize(("spare", "is_kept"), [(0, True), (-1, False)])
    def test_keeps_none_that_is_larger_than_all(self, spare: int, is_kept: bool) -> None:
        one, tag = self.classifier(10), Tag("a" * 20)
        cache = ClassifierCache(bytes_max=size_of(one) + spare)

        cache.put(tag, 1, one)

        assert (cache.get(tag, 1) is not None) == is_kept


class TestCommand:
    def run(self, *words: str) -> str:
        out = StringIO()
        call_command("train_router", *words, stdout=out)
        return out.getvalue()

    def test_trains_from_a_file(self, ada: Caller, tmp_path: Path) -> None:
        file = tmp_path / "examples.jsonl"
        file.write_text("\n".join(json.dumps(row) for row in examples()))

        assert self.run("acme", str(file)) == (
            "Version 1 from 40 examples: the tier was right in 100.0% of those held out.\n"
        )

    @pytest.mark.parametrize(
        ("content", "sentence"),
        [("{}", "line 1"), ("x", "line 1"), ("", "2 to 200 classes"), ('{"text": "a", "class": "b"}', "at least 12")],
    )
    def test_refuses_in_one_sentence(self, ada: Caller, tmp_path: Path, content: str, sentence: str) -> None:
        file = tmp_path / "examples.jsonl"
        file.write_text(content)

        with pytest.raises(CommandError, match=sentence):
            self.run("acme", str(file))

    def test_refuses_what_is_not_there(self, ada: Caller, tmp_path: Path) -> None:
        for words in (("nobody", "x"), ("acme", str(tmp_path / "none"))):
            with pytest.raises(CommandError):
                self.run(*words)
