from routing.models.price_multiplier import PriceMultiplier
from routing.models.price_version import Layer, PriceStatus, PriceVersion
from routing.models.provider_pool import ProviderPool

__all__ = ["Layer", "PriceMultiplier", "PriceStatus", "PriceVersion", "ProviderPool"]
