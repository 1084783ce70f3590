"""What requests and answers of the management API have in common: amounts with their unit, reasons, keys."""

import re
from typing import Any, Final

from rest_framework import serializers

from kernel.http.errors import ErrorCode, ProtocolError
from kernel.http.serialized import Fields, Flag, ReasonFields, Text

_IDEMPOTENCY_KEY: Final = re.compile(r"[!-~]{1,256}")


class IdempotencyKey(Text):
    """The caller's name for one request: repeated, it has one effect and the first answer."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"max_length": 256, "help_text": "1 to 256 printable ASCII characters"} | options)

    def to_internal_value(self, data: Any) -> str:
        value = super().to_internal_value(data)
        if not _IDEMPOTENCY_KEY.fullmatch(value):
            raise serializers.ValidationError("must be 1 to 256 printable ASCII characters without spaces")
        return value


class NeededReasonFields(Fields):
    """Why it is done; kept in the audit trail."""

    reason = Text(max_length=512)


class StopFields(ReasonFields):
    """Work in flight may settle, unless its holds are cancelled."""

    cancel_holds = Flag(default=False, help_text="Give back at once what is held.")


class StopTenantFields(NeededReasonFields):
    """Work in flight may settle, unless its holds are cancelled."""

    cancel_holds = Flag(default=False, help_text="Give back at once what is held.")


def amount(unit: str, number: int) -> dict[str, Any]:
    """An amount as answers show it."""
    return {"unit": unit, "amount": number}


def optional_amount(unit: str, number: int | None) -> dict[str, Any] | None:
    return None if number is None else amount(unit, number)


def number_in(unit: str, given: dict[str, Any] | None, *, field: str) -> int | None:
    """The number of an amount that must be in `unit`; None where it was left out. Refuses with 400 UNIT_MISMATCH."""
    if given is None:
        return None
    if given["unit"] != unit:
        details = {"field": f"{field}.unit", "expected_units": [unit]}
        raise ProtocolError(ErrorCode.UNIT_MISMATCH, f"{field} must be in {unit}.", details=details)
    number: int = given["amount"]
    return number
