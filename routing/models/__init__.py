from routing.models.price_multiplier import PriceMultiplier
from routing.models.price_version import Layer, PriceStatus, PriceVersion

__all__ = ["Layer", "PriceMultiplier", "PriceStatus", "PriceVersion"]
