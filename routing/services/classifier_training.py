"""Training a tenant's classifier. For a worker: it takes seconds and scikit-learn, and no decision waits for it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from budgets.services.routing_policy import TierName
from routing.services.classifier import TEXT_LENGTH_MAX, Classifier, terms
from routing.services.classifier_storage import LABELS_MAX, TERMS_MAX

EXAMPLES_MAX: Final = 100_000
EXAMPLES_PER_LABEL_MIN: Final = 10
#: How much a weight may grow; tried from 1 to 50 on requests to an assistant.
_C: Final = 20.0
#: Where more steps no longer change which tier is chosen.
_TOLERANCE: Final = 1e-3
_STEPS_MAX: Final = 300


class CannotTrain(Exception):
    """The examples are too few, too many, or do not say what they must; the text says which."""


@dataclass(frozen=True, slots=True)
class Example:
    """A request and the traffic class that it was of."""

    text: str
    label: str


def train(examples: Sequence[Example], *, tiers: Mapping[str, TierName]) -> Classifier:
    """A classifier from one tenant's examples; `tiers` says which tier each class needs.

    The same examples give the same classifier. Raises `CannotTrain`.
    """
    # Two seconds of every start of the console, for what few ask for.
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    labels = _checked_labels(examples, tiers)
    vectorizer = TfidfVectorizer(analyzer=_terms, min_df=2, max_features=TERMS_MAX, sublinear_tf=True, dtype=np.float64)
    try:
        matrix = vectorizer.fit_transform([example.text for example in examples])
    except ValueError:
        raise CannotTrain("The examples have no word in common.") from None
    model = LogisticRegression(C=_C, tol=_TOLERANCE, max_iter=_STEPS_MAX)
    model.fit(matrix, [labels.index(example.label) for example in examples])
    weights, bias = model.coef_, model.intercept_
    if len(labels) == 2:
        # Of two classes the model keeps the second's weights alone.
        weights, bias = np.vstack([-weights / 2, weights / 2]), np.array([-bias[0] / 2, bias[0] / 2])
    return Classifier(
        labels=tuple(labels),
        tiers=tuple(tiers[label] for label in labels),
        vocabulary={str(term): int(place) for term, place in vectorizer.vocabulary_.items()},
        idf=vectorizer.idf_.astype(np.float32),
        weights=np.ascontiguousarray(weights.T, dtype=np.float32),
        bias=bias.astype(np.float32),
    )


def _terms(text: str) -> list[str]:
    return list(terms(text))


def _checked_labels(examples: Sequence[Example], tiers: Mapping[str, TierName]) -> list[str]:
    if len(examples) > EXAMPLES_MAX:
        raise CannotTrain(f"There are more than {EXAMPLES_MAX:,} examples.")
    counts = Counter(example.label for example in examples)
    labels = sorted(counts)
    if not 2 <= len(labels) <= LABELS_MAX:
        raise CannotTrain(f"The examples must be of 2 to {LABELS_MAX} classes; they are of {len(labels)}.")
    if without_tier := [label for label in labels if label not in tiers]:
        raise CannotTrain(f"The class {without_tier[0]} has no tier.")
    if rare := [label for label in labels if counts[label] < EXAMPLES_PER_LABEL_MIN]:
        raise CannotTrain(f"The class {rare[0]} needs at least {EXAMPLES_PER_LABEL_MIN} examples.")
    if not all(len(example.text) > 0 for example in examples):
        raise CannotTrain(f"An example must have a text; {TEXT_LENGTH_MAX:,} characters of it are looked at.")
    return labels
