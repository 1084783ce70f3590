"""The height of model tiers: a request is promoted upwards only, so no fallback goes round in a circle."""

from typing import Final

from budgets.services.routing_policy import TierName

_HEIGHTS: Final = {tier: height for height, tier in enumerate(TierName)}


def is_above(tier: TierName, other: TierName) -> bool:
    """Whether `tier` is a stronger one than `other`."""
    return _HEIGHTS[tier] > _HEIGHTS[other]
