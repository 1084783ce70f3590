"""The classifier: what it learns it keeps, whom it does not know it sends to the middle."""

import io
import json
import pickle
import statistics
import zipfile
from collections.abc import Sequence
from time import perf_counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from budgets.services.routing_policy import TierName
from routing.services.classifier import TEXT_LENGTH_MAX, UNSURE_TIER, Classifier, terms
from routing.services.classifier_storage import NotAClassifier, from_bytes, to_bytes
from routing.services.classifier_training import EXAMPLES_PER_LABEL_MIN, CannotTrain, Example, train

TIERS = {"greeting": TierName.SMALL, "refund": TierName.LARGE, "order": TierName.MEDIUM}
WORDS = {
    "greeting": ["hello there", "good morning", "hi", "thanks a lot", "how are you"],
    "refund": ["i want my money back", "refund the broken kettle", "charge was wrong", "dispute this payment"],
    "order": ["where is my parcel", "track the order", "when does it arrive", "has my order shipped"],
}


def examples(labels: Sequence[str] = ("greeting", "order", "refund")) -> list[Example]:
    endings = ["", " please", " today", " now", " again"]
    return [Example(f"{text}{ending}", label) for label in labels for text in WORDS[label] for ending in endings]


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return train(examples(), tiers=TIERS)


class TestClassifier:
    @pytest.mark.parametrize(
        ("text", "label"),
        [("Hello, good morning!", "greeting"), ("Please refund my money", "refund"), ("Track my order", "order")],
    )
    def test_knows_what_it_has_learnt(self, classifier: Classifier, text: str, label: str) -> None:
        found = classifier.classify(text)

        assert (found.label, found.tier, found.is_unsure) == (label, TIERS[label], False)

    @pytest.mark.parametrize("text", ["", "   ", "Ωμέγα", "zxqv", "!!!"])
    def test_sends_what_it_does_not_know_to_the_middle(self, classifier: Classifier, text: str) -> None:
        found = classifier.classify(text)

        assert (found.tier, found.is_unsure) == (UNSURE_TIER, True)

    def test_is_sure_of_everything_without_a_gate(self, classifier: Classifier) -> None:
        assert not classifier.classify("zxqv", gate=None).is_unsure

    def test_is_unsure_below_the_gate_and_not_at_it(self, classifier: Classifier) -> None:
        confidence = classifier.classify("my money arrives with the order").confidence

        at = classifier.classify("my money arrives with the order", gate=confidence)
        above = classifier.classify("my money arrives with the order", gate=np.nextafter(confidence, 2))
        assert (at.is_unsure, above.is_unsure) == (False, True)

    def test_adds_up_the_classes_of_a_tier(self) -> None:
        same = train(examples(), tiers=TIERS | {"order": TierName.LARGE})

        found = same.classify("where is my money for the order")
        assert found.tier == TierName.LARGE
        assert found.confidence > 0.8

    @given(st.text(max_size=200))
    @settings(max_examples=100, deadline=None)
    def test_answers_any_text(self, text: str) -> None:
        found = _ANY.classify(text)

        assert 0 < found.confidence <= 1 + 1e-6

    def test_looks_at_the_beginning_of_a_long_text_only(self, classifier: Classifier) -> None:
        begins = "hello there " * (TEXT_LENGTH_MAX // 12 + 1)

        assert classifier.classify(begins + "refund " * 10_000) == classifier.classify(begins)

    @pytest.mark.parametrize("labels", [("greeting", "refund"), ("greeting", "order", "refund")])
    def test_computes_what_the_library_computes(self, labels: tuple[str, ...]) -> None:
        ours = train(examples(labels), tiers=TIERS)
        vectorizer = TfidfVectorizer(analyzer=lambda text: list(terms(text)), min_df=2, sublinear_tf=True)
        matrix = vectorizer.fit_transform([example.text for example in examples(labels)])
        model = LogisticRegression(C=20.0, tol=1e-3, max_iter=300)
        model.fit(matrix, [labels.index(example.label) for example in examples(labels)])

        for text in ("hello there hello", "refund order now", "thanks"):
            theirs = model.predict_proba(vectorizer.transform([text]))[0]
            found = ours.classify(text, gate=None)
            assert found.label == labels[int(theirs.argmax())]
            assert found.confidence == pytest.approx(float(theirs.max()), abs=1e-5)

    def test_takes_about_a_millisecond_at_most(self, classifier: Classifier) -> None:
        text = "please refund the broken kettle, i want my money back today " * 3
        seconds = []
        for _ in range(200):
            begun = perf_counter()
            classifier.classify(text)
            seconds.append(perf_counter() - begun)

        assert statistics.median(seconds) < 0.001


_ANY = train(examples(), tiers=TIERS)


class TestTraining:
    def test_gives_the_same_for_the_same_examples(self) -> None:
        assert to_bytes(train(examples(), tiers=TIERS)) == to_bytes(train(examples(), tiers=TIERS))

    def test_needs_enough_of_every_class(self) -> None:
        few = [Example("refund it", "refund")] * (EXAMPLES_PER_LABEL_MIN - 1)

        with pytest.raises(CannotTrain, match="refund needs at least 10"):
            train([*examples(("greeting", "order")), *few], tiers=TIERS)
        train([*examples(("greeting", "order")), *few, Example("refund it", "refund")], tiers=TIERS)

    def test_needs_two_classes(self) -> None:
        with pytest.raises(CannotTrain, match="of 2 to"):
            train(examples(("greeting",)), tiers=TIERS)

    def test_needs_a_tier_for_every_class(self) -> None:
        with pytest.raises(CannotTrain, match="order has no tier"):
            train(examples(), tiers={"greeting": TierName.SMALL, "refund": TierName.LARGE})

    def test_needs_words(self) -> None:
        silent = [Example("?!", label) for label in ("greeting", "order") for _ in range(EXAMPLES_PER_LABEL_MIN)]

        with pytest.raises(CannotTrain, match="no word"):
            train(silent, tiers=TIERS)

    def test_needs_texts(self) -> None:
        with pytest.raises(CannotTrain, match="must have a text"):
            train([*examples(), Example("", "order")], tiers=TIERS)


class TestStored:
    def test_comes_back_as_it_was(self, classifier: Classifier) -> None:
        again = from_bytes(to_bytes(classifier))

        for example in examples():
            assert again.classify(example.text) == classifier.classify(example.text)

    @pytest.mark.parametrize("raw", [b"", b"PK\x05\x06" + b"\0" * 18, b"\x80\x05N.", b"x" * 1000])
    def test_is_refused_when_it_is_something_else(self, raw: bytes) -> None:
        with pytest.raises(NotAClassifier):
            from_bytes(raw)

    def test_never_runs_what_was_pickled(self, classifier: Classifier) -> None:
        class Trap:
            def __reduce__(self) -> tuple[object, ...]:
                return pytest.fail, ("unpickled",)

        hostile = io.BytesIO()
        np.savez(hostile, head=np.array([Trap()], dtype=object), idf=[1.0], weights=[[1.0]], bias=[1.0])

        for raw in (hostile.getvalue(), pickle.dumps(Trap())):
            with pytest.raises(NotAClassifier):
                from_bytes(raw)

    def test_is_refused_when_it_unpacks_to_too_much(self) -> None:
        bomb = io.BytesIO()
        with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("head.npy", "w") as member:
            for _ in range(64):
                member.write(bytes(2**20))

        with pytest.raises(NotAClassifier, match="larger"):
            from_bytes(bomb.getvalue())

    @pytest.mark.parametrize("spoil", ["labels", "terms", "format", "nan"])
    def test_is_refused_when_its_parts_do_not_fit(self, classifier: Classifier, spoil: str) -> None:
        with np.load(io.BytesIO(to_bytes(classifier))) as stored:
            arrays = dict(stored)
        head = json.loads(arrays["head"].tobytes())
        if spoil == "nan":
            arrays["bias"] = arrays["bias"] * float("nan")
        elif spoil == "format":
            head["format"] = 2
        else:
            head[spoil] = head[spoil][:-1]
        arrays["head"] = np.frombuffer(json.dumps(head).encode(), dtype=np.uint8)
        spoilt = io.BytesIO()
        np.savez(spoilt, **arrays)

        with pytest.raises(NotAClassifier):
            from_bytes(spoilt.getvalue())
