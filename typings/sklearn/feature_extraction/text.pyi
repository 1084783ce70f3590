from collections.abc import Callable, Iterable
from typing import Any

from numpy.typing import NDArray

class TfidfVectorizer:
    vocabulary_: dict[str, int]
    idf_: NDArray[Any]
    def __init__(
        self,
        *,
        analyzer: str | Callable[[str], list[str]] = ...,
        min_df: int = ...,
        max_features: int | None = ...,
        sublinear_tf: bool = ...,
        dtype: type = ...,
    ) -> None: ...
    def fit_transform(self, raw_documents: Iterable[str]) -> Any: ...
    def transform(self, raw_documents: Iterable[str]) -> Any: ...
