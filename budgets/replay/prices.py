"""What a token costs in a replay: one flat price for tokens in, one for tokens out, in USD_MICROCENTS a token."""

from dataclasses import dataclass
from typing import Final

from budgets.replay.trace import TraceCall


@dataclass(frozen=True, slots=True)
class FlatPrice:
    context_token: int
    generated_token: int

    def of(self, *, context_tokens: int, generated_tokens: int) -> int:
        return context_tokens * self.context_token + generated_tokens * self.generated_token


#: About what a model of each tier costs, for replays alone: $0.15 / $0.60, $2.50 / $10 and $15 / $75 a million tokens.
TIERS: Final = {
    "small": FlatPrice(15, 60),
    "medium": FlatPrice(250, 1_000),
    "large": FlatPrice(1_500, 7_500),
}


def estimate_of(call: TraceCall, price: FlatPrice, *, generated_tokens: int) -> int:
    """What is held before the call: its context, which is known, and the expected `generated_tokens`."""
    return price.of(context_tokens=call.context_tokens, generated_tokens=generated_tokens)


def actual_of(call: TraceCall, price: FlatPrice) -> int:
    """What the call really cost."""
    return price.of(context_tokens=call.context_tokens, generated_tokens=call.generated_tokens)
