"""Where somebody stands in the console: on the operators' side or in one tenant, and what they may do there."""

from dataclasses import dataclass
from typing import Any, Protocol, cast

from django.http import HttpRequest
from django.urls import reverse

from accounts.models import User
from accounts.roles import Act
from accounts.services.impersonation import Impersonation
from kernel.actor import Actor
from kernel.ids import Tag


class TenantFacts(Protocol):
    """What pages say of a tenant."""

    @property
    def tag(self) -> Tag: ...
    @property
    def slug(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def time_zone(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """`is_ops` on the operators' side; `tenant` is None on pages that concern no single one.

    `namespace` names the mount of the tenant's pages; `impersonation` is set while an operator looks at them in the
    place of a member.
    """

    user: User
    role: str
    may: frozenset[Act]
    is_ops: bool
    namespace: str
    tenant: Any = None
    impersonation: Impersonation | None = None
    lacks_second_factor: bool = False
    network_address: str = ""

    @property
    def shell(self) -> str:
        return "ops_base.html" if self.is_ops else "tenant_base.html"

    def url(self, name: str, *args: object) -> str:
        """The address of one of the tenant's pages, on the side on which the reader stands."""
        return reverse(f"{self.namespace}:{name}", args=[self.tenant.slug, *args])

    def actor(self, reason: str = "") -> Actor:
        """Who acts, as the audit trail names them."""
        kind = "admin_on_behalf_of" if self.is_ops and self.tenant else "admin"
        return Actor(name=self.user.email, actor_type=kind, reason=reason, source_ip=self.network_address)


def place_of(request: HttpRequest) -> Place:
    """The place that the gate has found for this request; only behind the gate."""
    return cast("Place", request.place)  # type: ignore[attr-defined]  # set by the gate


def set_place(request: HttpRequest, place: Place) -> None:
    request.place = place  # type: ignore[attr-defined]  # read by `place_of`
