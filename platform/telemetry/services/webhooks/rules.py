"""Which addresses may be reached in this installation."""

from functools import lru_cache
from ipaddress import ip_network

from django.conf import settings

from telemetry.services.webhooks.addresses import AddressRules


def address_rules() -> AddressRules:
    """By WEBHOOK_ALLOW_HTTP and WEBHOOK_OPEN_NETWORKS: https and public addresses alone, unless they say more."""
    return _rules(bool(settings.WEBHOOK_ALLOW_HTTP), tuple(settings.WEBHOOK_OPEN_NETWORKS))


# Keyed by the settings themselves, so that a changed one counts at once.
@lru_cache(maxsize=8)
def _rules(allow_http: bool, open_networks: tuple[str, ...]) -> AddressRules:
    return AddressRules(allow_http=allow_http, open_networks=tuple(ip_network(text) for text in open_networks))
