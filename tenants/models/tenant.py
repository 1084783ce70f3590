"""A customer with a schema of its own, and the host names that lead to it."""

from django.db import models
from django.db.models import Q
from django_tenants.models import DomainMixin, TenantMixin

from kernel.ids import Tag, uuid7
from tenants.models.plan import Plan


class TenantStatus(models.TextChoices):
    PROVISIONING = "PROVISIONING"
    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    CLOSED = "CLOSED"


class Tenant(TenantMixin):
    """The directory's line on a tenant. Whether it may spend is decided by `ledger_head.status` in its own schema,
    in the transaction of the money; `status` here follows it and is for lists, as `stopped_at` does the kill
    switch there.
    """

    # A schema is made by the provisioning service, never by save().
    auto_create_schema = False
    auto_drop_schema = False

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    slug = models.TextField(unique=True)
    name = models.TextField()
    status = models.TextField(choices=TenantStatus, default=TenantStatus.ACTIVE)
    time_zone = models.TextField(default="UTC")
    plan = models.ForeignKey(Plan, null=True, on_delete=models.PROTECT, related_name="tenants")
    created_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    stopped_at = models.DateTimeField(null=True, help_text="Since when a kill switch stops all of it.")
    stop_ends_at = models.DateTimeField(null=True, help_text="When that ends by itself.")

    class Meta:
        db_table = "tenant"
        constraints = [
            models.CheckConstraint(
                condition=Q(schema_name__regex=r"^t_[a-z2-7]{20}$"), name="tenant_schema_name_is_opaque"
            ),
            models.CheckConstraint(
                condition=Q(slug__regex=r"^[a-z0-9][a-z0-9_.-]{0,62}$"), name="tenant_slug_is_a_scope_name"
            ),
        ]

    def __str__(self) -> str:
        return self.slug

    @property
    def tag(self) -> Tag:
        """The opaque part of the schema's name, which keys and ids carry."""
        return Tag(self.schema_name.removeprefix("t_"))


class Domain(DomainMixin):
    class Meta:
        db_table = "tenant_domain"
