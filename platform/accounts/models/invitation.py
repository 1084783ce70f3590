"""That somebody was asked to join a tenant, or the operators."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower

from accounts.models.membership import MemberRole
from accounts.models.user import OperatorRole
from kernel.ids import uuid7


class Invitation(models.Model):
    """In the shared schema, like the people. `tenant_tag` is NULL where somebody is to become an operator.

    The token is in the link alone; here is only its digest.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant_tag = models.TextField(null=True)
    place_name = models.TextField(help_text="Where it leads, as the invited person reads it.")
    email = models.EmailField(max_length=254)
    role = models.TextField()
    digest = models.BinaryField(unique=True)
    invited_by = models.TextField()
    reason = models.TextField()
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True)
    withdrawn_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "invitation"
        indexes = [models.Index(fields=["email"], name="invitation_of_email")]
        constraints = [
            models.UniqueConstraint(
                fields=["email", "tenant_tag"],
                condition=Q(accepted_at=None, withdrawn_at=None),
                nulls_distinct=False,
                name="one_open_invitation_per_email_and_place",
            ),
            models.CheckConstraint(condition=Q(email=Lower(F("email"))), name="invitation_email_is_lower_case"),
            models.CheckConstraint(
                condition=Q(tenant_tag=None, role__in=OperatorRole.values)
                | Q(tenant_tag__isnull=False, role__in=MemberRole.values),
                name="invitation_role_is_known",
            ),
            models.CheckConstraint(
                condition=Q(accepted_at=None) | Q(withdrawn_at=None), name="invitation_ended_in_one_way"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.email} as {self.role}"
