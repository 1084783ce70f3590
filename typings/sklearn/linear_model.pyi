from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

class LogisticRegression:
    coef_: NDArray[Any]
    intercept_: NDArray[Any]
    classes_: NDArray[Any]
    def __init__(self, *, C: float = ..., tol: float = ..., max_iter: int = ...) -> None: ...  # noqa: N803
    def fit(self, X: Any, y: Sequence[int]) -> LogisticRegression: ...  # noqa: N803
    def predict_proba(self, X: Any) -> NDArray[Any]: ...  # noqa: N803
