"""A classifier as bytes and back: numbers and JSON in an npz, and nothing in it that could run."""

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from budgets.services.routing_policy import TierName
from routing.services.classifier import Classifier, Floats

FORMAT: Final = 1
LABELS_MAX: Final = 200
TERMS_MAX: Final = 50_000
#: What an archive may unpack to: the largest classifier and its words.
_UNPACKED_BYTES_MAX: Final = 4 * TERMS_MAX * (LABELS_MAX + 1) + 16 * 2**20


class NotAClassifier(Exception):
    """The bytes are no classifier that this version wrote."""


def to_bytes(classifier: Classifier) -> bytes:
    """The classifier in about four bytes for each term and label, compressed."""
    terms = sorted(classifier.vocabulary, key=lambda term: classifier.vocabulary[term])
    head = {"format": FORMAT, "labels": classifier.labels, "tiers": classifier.tiers, "terms": terms}
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        head=np.frombuffer(json.dumps(head).encode(), dtype=np.uint8),
        idf=classifier.idf,
        weights=classifier.weights,
        bias=classifier.bias,
    )
    return buffer.getvalue()


def from_bytes(raw: bytes) -> Classifier:
    """The inverse of `to_bytes`. Raises `NotAClassifier`; never unpickles, and unpacks no more than fits."""
    try:
        arrays = _arrays(raw)
        head = json.loads(arrays["head"].tobytes())
        classifier = _classifier(head, arrays)
    except (ValueError, KeyError, TypeError, OSError, zipfile.BadZipFile, EOFError, NotImplementedError):
        raise NotAClassifier("The bytes are no classifier.") from None
    _check(classifier)
    return classifier


def _arrays(raw: bytes) -> Mapping[str, NDArray[Any]]:
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        if sum(member.file_size for member in archive.infolist()) > _UNPACKED_BYTES_MAX:
            raise NotAClassifier("The classifier is larger than any that is trained.")
    with np.load(io.BytesIO(raw), allow_pickle=False) as stored:
        return {name: stored[name] for name in ("head", "idf", "weights", "bias")}


def _classifier(head: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Classifier:
    if head["format"] != FORMAT:
        raise NotAClassifier("The classifier was written by another version; train it again.")
    return Classifier(
        labels=tuple(str(label) for label in head["labels"]),
        tiers=tuple(TierName(tier) for tier in head["tiers"]),
        vocabulary={str(term): place for place, term in enumerate(head["terms"])},
        idf=_floats(arrays["idf"]),
        weights=_floats(arrays["weights"]),
        bias=_floats(arrays["bias"]),
    )


def _floats(array: NDArray[Any]) -> Floats:
    return array.astype(np.float32)


def _check(classifier: Classifier) -> None:
    labels, terms = len(classifier.labels), len(classifier.vocabulary)
    fits = (
        0 < labels == len(classifier.tiers) <= LABELS_MAX
        and terms <= TERMS_MAX
        and classifier.idf.shape == (terms,)
        and classifier.weights.shape == (terms, labels)
        and classifier.bias.shape == (labels,)
    )
    numbers = (classifier.idf, classifier.weights, classifier.bias)
    if not fits or not all(np.isfinite(array).all() for array in numbers):
        raise NotAClassifier("The classifier's parts do not fit together.")
