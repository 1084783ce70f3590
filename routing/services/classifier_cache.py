"""Classifiers that were loaded, by tenant and version: few enough that they fit, the longest unused go first."""

import threading
from collections import OrderedDict
from typing import Final

from kernel.ids import Tag
from routing.services.classifier import Classifier

#: The largest classifier has forty megabytes of weights; most have less than one.
BYTES_MAX: Final = 128 * 2**20
#: A term in the vocabulary: its text, its place and the dictionary around them.
_BYTES_A_TERM: Final = 150


class ClassifierCache:
    """Shared by threads. A classifier larger than `bytes_max` is not kept at all."""

    def __init__(self, *, bytes_max: int = BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._kept: OrderedDict[tuple[Tag, int], tuple[Classifier, int]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, tag: Tag, version: int) -> Classifier | None:
        with self._lock:
            found = self._kept.get((tag, version))
            if found is None:
                return None
            self._kept.move_to_end((tag, version))
            return found[0]

    def put(self, tag: Tag, version: int, classifier: Classifier) -> None:
        """Keep it, and no other version of the tenant's."""
        size = size_of(classifier)
        with self._lock:
            for key in [key for key in self._kept if key[0] == tag]:
                self._drop(key)
            if size > self._bytes_max:
                return
            self._kept[tag, version] = classifier, size
            self._bytes += size
            while self._bytes > self._bytes_max:
                self._drop(next(iter(self._kept)))

    def _drop(self, key: tuple[Tag, int]) -> None:
        _, size = self._kept.pop(key)
        self._bytes -= size


def size_of(classifier: Classifier) -> int:
    """About how many bytes of memory it takes."""
    numbers = classifier.idf.nbytes + classifier.weights.nbytes + classifier.bias.nbytes
    return numbers + _BYTES_A_TERM * len(classifier.vocabulary)
