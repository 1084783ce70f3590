"""What both clients' `guard` has in common."""

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, TypeAlias, TypeVar

__all__ = ["Given", "Guarded", "whole", "wraps"]

T = TypeVar("T")
#: A value, or a function that makes it of the call's own arguments.
Given: TypeAlias = T | Callable[..., T]


def whole(result: object) -> object:
    """The result is the response, or the usage itself."""
    return result


class Guarded:
    """A function with the question that is asked before each of its calls."""

    def __init__(
        self, call: Callable[..., Any], *, action: object, subject: object, question: Mapping[str, Any]
    ) -> None:
        self._given = {"action": action, "subject": subject, **question}
        self._wants_act = "act" in inspect.signature(call).parameters

    def question(self, *args: object, **kwargs: object) -> dict[str, Any]:
        return {name: given(*args, **kwargs) if callable(given) else given for name, given in self._given.items()}

    def with_act(self, kwargs: Any, act: object) -> Any:
        # Any: the parameters' type says nothing of an argument that the caller leaves out.
        return {**kwargs, "act": act} if self._wants_act else kwargs
