"""Who belongs to which tenant."""

from dataclasses import dataclass

from accounts.models import MemberRole, Membership, User
from kernel.ids import Tag
from kernel.tenancy import in_public

__all__ = ["MemberRole", "MembershipLine", "member_role", "memberships_of"]


@dataclass(frozen=True, slots=True)
class MembershipLine:
    """That somebody belongs to a tenant."""

    tag: Tag
    role: MemberRole


def member_role(user: User, tag: Tag) -> MemberRole | None:
    """As what this person belongs to the tenant, None for a stranger. Asks nothing for whom a request brought."""
    if (held := getattr(user, "memberships_held", None)) is not None:
        return next((MemberRole(one["role"]) for one in held if one["tag"] == tag), None)
    with in_public():
        role = Membership.objects.filter(user=user, tenant_tag=tag).values_list("role", flat=True).first()
    return MemberRole(role) if role else None


def memberships_of(user: User) -> list[MembershipLine]:
    """Where this person belongs, the longest first."""
    with in_public():
        found = list(Membership.objects.filter(user=user).order_by("created_at", "id"))
    return [MembershipLine(tag=Tag(one.tenant_tag), role=MemberRole(one.role)) for one in found]
