"""The model tiers, from the cheapest up. A request is promoted upwards only, so no fallback goes round in a circle."""

from enum import StrEnum
from typing import Final


class TierName(StrEnum):
    SMALL = "small"
    MEDIUM = "medium"
    LARGE = "large"


_HEIGHTS: Final = {tier: height for height, tier in enumerate(TierName)}


def is_above(tier: TierName, other: TierName) -> bool:
    """Whether `tier` is a stronger one than `other`."""
    return _HEIGHTS[tier] > _HEIGHTS[other]
