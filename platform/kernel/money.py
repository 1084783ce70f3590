"""Units of account. Amounts are integers in these units, everywhere: no floats, no decimals."""

from enum import StrEnum
from typing import Final

#: The largest amount that the wire, the tables and the SQL functions hold (a signed 64-bit integer).
AMOUNT_MAX: Final = 2**63 - 1


class Unit(StrEnum):
    """What a budget counts. 1 USD is 10^8 `USD_MICROCENTS`."""

    USD_MICROCENTS = "USD_MICROCENTS"
    TOKENS = "TOKENS"
    CREDITS = "CREDITS"
    RISK_POINTS = "RISK_POINTS"
