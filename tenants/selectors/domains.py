"""Which tenant a host name of its own leads to."""

from kernel.tenancy import in_public
from tenants.models import Domain


def slug_of_host(host: str) -> str | None:
    """The slug of the tenant whose own domain this is, None for every other host. No port in `host`."""
    with in_public():
        slug: str | None = Domain.objects.filter(domain=host.lower()).values_list("tenant__slug", flat=True).first()
    return slug
