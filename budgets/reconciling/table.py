"""Differences as the lines of a file, the same from the command and from the console."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

HEADS: Final = (
    "finding", "model", "reference", "at", "day", "place", "ledger_seq", "scope_path",
    "observed_tokens_input", "booked_tokens_input", "observed_tokens_output", "booked_tokens_output",
    "observed_cost_usd_microcents", "booked_cost_usd_microcents", "difference_usd_microcents",
)  # fmt: skip


def row_of(document: Mapping[str, Any]) -> Sequence[object]:
    """The line of a difference as it is kept (`Difference.as_document`)."""
    observed_cost, booked_cost = document["cost"]
    return (
        document["finding"], document["model"], document["reference"], document["at"], document["day"],
        document["place"], document["seq"], document["scope_path"], *document["tokens_input"],
        *document["tokens_output"], observed_cost, booked_cost, (observed_cost or 0) - (booked_cost or 0),
    )  # fmt: skip
