"""Usage as we count it: tokens by kind, each token once, and the calls that cost something by themselves."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from routing.pricing.kinds import INPUT_KINDS, Kind, Mode

#: More than any provider serves in a call; what is above is a mistake or an attack.
TOKENS_MAX: Final = 10**10
#: Of a text whose tokenizer we do not have: English takes four bytes and more, so this is on the safe side.
BYTES_PER_TOKEN: Final = 3
CALLS_MAX: Final = 10**6


class UsageMissing(Exception):
    """The payload has no usage. The reservation stays, and the call waits for reconciliation."""


class UsageInvalid(Exception):
    """The payload's usage cannot be true; `path` is where, and the text repeats no value."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path} {why}.")
        self.path = path
        self.why = why


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """`tokens` has the kinds that occur. `hosted_tools` are calls that the provider made and charges for;
    `function_calls` those that the model asked of the runtime, which the provider does not charge for.
    `model` and `response_id` are what the provider says, empty where it says nothing.
    """

    tokens: Mapping[Kind, int]
    mode: Mode = Mode.STANDARD
    hosted_tools: Mapping[str, int] = field(default_factory=dict)
    function_calls: Mapping[str, int] = field(default_factory=dict)
    model: str = ""
    response_id: str = ""

    @property
    def input_tokens(self) -> int:
        """Everything that went in, cached or not: what decides whether a request is long."""
        return sum(count for kind, count in self.tokens.items() if kind in INPUT_KINDS)

    @property
    def output_tokens(self) -> int:
        """Everything that came out, reasoning included."""
        return sum(count for kind, count in self.tokens.items() if kind not in INPUT_KINDS)

    @property
    def total_tokens(self) -> int:
        return sum(self.tokens.values())
