"""How a policy's document is read, and refused with the field and what to mend."""

from collections.abc import Mapping
from typing import Any

import msgspec

from budgets.services.rule_parts import Part
from kernel.http.explain import explain


class InvalidPolicy(Exception):
    """The document cannot be used; the text is a sentence that says what to mend, `field` where."""

    def __init__(self, text: str, *, field: str | None = None) -> None:
        super().__init__(text)
        self.field = field


def read_part[P: Part](document: Mapping[str, Any], part: type[P]) -> P:
    """The document as what it should be. Raises `InvalidPolicy`."""
    try:
        return msgspec.convert(document, part)
    except msgspec.ValidationError as error:
        refusal = explain(error, part)
        field = (refusal.details or {}).get("field")
        raise InvalidPolicy(refusal.message.replace("The body", "The document"), field=field) from None
