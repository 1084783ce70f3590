from typing import Any, ClassVar

from django.db import models

class TenantMixin(models.Model):
    auto_create_schema: ClassVar[bool]
    auto_drop_schema: ClassVar[bool]
    domain_url: Any
    schema_name: models.CharField[str, str]
    class Meta:
        abstract = True

class DomainMixin(models.Model):
    domain: models.CharField[str, str]
    tenant: models.ForeignKey[Any, Any]
    is_primary: models.BooleanField[bool, bool]
    class Meta:
        abstract = True
