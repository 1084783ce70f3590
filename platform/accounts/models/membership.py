"""That a person belongs to a tenant, and as what."""

from django.db import models
from django.db.models import Q

from accounts.models.user import User
from kernel.ids import uuid7


class MemberRole(models.TextChoices):
    """What a member may do on the pages of the tenant; each role may do what the ones before it may."""

    VIEWER = "viewer"
    ADMIN = "admin"
    OWNER = "owner"


class Membership(models.Model):
    """In the shared schema: at sign-in nobody knows yet whose schema to ask. It names the tenant by its tag."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    tenant_tag = models.TextField()
    role = models.TextField(choices=MemberRole)
    created_at = models.DateTimeField()

    class Meta:
        db_table = "membership"
        indexes = [models.Index(fields=["tenant_tag"], name="membership_of_tenant")]
        constraints = [
            models.UniqueConstraint(fields=["user", "tenant_tag"], name="one_membership_per_user_and_tenant"),
            models.CheckConstraint(condition=Q(role__in=MemberRole.values), name="membership_role_is_known"),
        ]

    def __str__(self) -> str:
        return f"{self.role} of {self.tenant_tag}"
