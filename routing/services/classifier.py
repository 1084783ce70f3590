"""The built-in classifier: which traffic class a request is of, and with it which tier it needs.

One for each tenant, trained from the tenant's own labelled examples and never across tenants. What decides here is
arithmetic on stored numbers; training alone needs scikit-learn (`classifier_training`).
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from budgets.services.routing_policy import TierName

type Floats = NDArray[np.float32]

#: What a person writes in one turn and more; the rest of a long text is not looked at.
TEXT_LENGTH_MAX: Final = 8_000
#: Below this, the request goes to UNSURE_TIER. Lower lets more requests that are of no class go astray.
DEFAULT_GATE: Final = 0.65
UNSURE_TIER: Final = TierName.MEDIUM
#: A word is what has letters or digits; single ones count too, "i" says much about a request.
WORD: Final = re.compile(r"\b\w+\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """`label` is the most probable class, `confidence` the probability of its tier: of all classes that need it.

    `tier` is where to send the request: the unsure go to the medium tier.
    """

    label: str
    confidence: float
    tier: TierName
    is_unsure: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Classifier:
    """Logistic regression on TF-IDF of words and pairs of words.

    `labels` has L classes and `tiers` the tier of each; `vocabulary` maps each of F terms to its place in `idf` (F)
    and in `weights` (F x L); `bias` has L.
    """

    labels: tuple[str, ...]
    tiers: tuple[TierName, ...]
    vocabulary: Mapping[str, int]
    idf: Floats
    weights: Floats
    bias: Floats

    def classify(self, text: str, *, gate: float | None = DEFAULT_GATE) -> Classification:
        """The class of `text`. A text without a word that was learnt is unsure; without a `gate` nothing is."""
        counts = Counter(place for term in terms(text) if (place := self.vocabulary.get(term)) is not None)
        probabilities = self._probabilities(counts)
        by_tier: dict[TierName, float] = {}
        for tier, probability in zip(self.tiers, probabilities, strict=True):
            by_tier[tier] = by_tier.get(tier, 0.0) + probability
        tier = max(by_tier, key=lambda each: by_tier[each])
        of_tier = [place for place, each in enumerate(self.tiers) if each == tier]
        is_unsure = gate is not None and (not counts or by_tier[tier] < gate)
        return Classification(
            label=self.labels[max(of_tier, key=lambda place: probabilities[place])],
            confidence=by_tier[tier],
            tier=UNSURE_TIER if is_unsure else tier,
            is_unsure=is_unsure,
        )

    def _probabilities(self, counts: Counter[int]) -> list[float]:
        """One for each label, together 1."""
        scores = self.bias
        if counts:
            places = np.fromiter(counts, dtype=np.intp, count=len(counts))
            tf = np.array([1.0 + math.log(count) for count in counts.values()], dtype=np.float32)
            values = tf * self.idf[places]
            scores = scores + ((values / np.sqrt(values @ values)) @ self.weights[places]).astype(np.float32)
        exponentials = np.exp(scores - scores.max())
        probabilities: list[float] = (exponentials / exponentials.sum()).tolist()
        return probabilities


def terms(text: str) -> Iterator[str]:
    """The words of a text and each two that follow one another, in small letters."""
    words = WORD.findall(text[:TEXT_LENGTH_MAX].lower())
    yield from words
    yield from (f"{one} {other}" for one, other in pairwise(words))
