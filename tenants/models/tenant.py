"""A customer with a schema of its own, and the host names that lead to it."""

from django.db import models
from django_tenants.models import DomainMixin, TenantMixin


class Tenant(TenantMixin):  # type: ignore[misc]  # the base class has no types
    auto_create_schema = False

    slug = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=200)
    status = models.CharField(max_length=16, default="ACTIVE")
    time_zone = models.CharField(max_length=64, default="UTC")
    plan_code = models.CharField(max_length=64, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "tenant"

    def __str__(self) -> str:
        return self.slug


class Domain(DomainMixin):  # type: ignore[misc]  # the base class has no types
    class Meta:
        db_table = "tenant_domain"
