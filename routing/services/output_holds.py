"""How much output to hold for, and how much to allow: what is held is never above what is allowed."""

from typing import Final

#: A reasoning model that may say less has thought, and says nothing.
REASONING_CAP_MIN: Final = 1_024


def output_cap(*, limits: list[int], requested: int | None, is_reasoning: bool) -> int:
    """The `max_tokens` to send: the least of the limits of class, plan and model, and of what was asked for.

    Limits are raised to a floor for reasoning models; what the caller asked for is never raised.
    """
    cap = min(limits)
    if is_reasoning:
        cap = max(cap, REASONING_CAP_MIN)
    return cap if requested is None else min(cap, requested)


def output_hold(*, cap: int, p99: int | None, is_scarce: bool, must_not_exceed: bool) -> int:
    """Tokens of output to hold for: the class's 99th percentile and a quarter more, never above the cap.

    The whole cap where the class has no history, where the budget is nearly gone (`is_scarce`), and where the policy
    forbids to spend more than was held (`must_not_exceed`, overage REJECT).
    """
    if p99 is None or is_scarce or must_not_exceed:
        return cap
    return min(-(-p99 * 5 // 4), cap)
