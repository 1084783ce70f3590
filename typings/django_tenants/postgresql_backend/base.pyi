from django.db.backends.postgresql import base
from django_tenants.models import TenantMixin

class DatabaseWrapper(base.DatabaseWrapper):
    schema_name: str
    tenant: TenantMixin | None
    include_public_schema: bool
    search_path_set_schemas: list[str] | None
    def set_schema(self, schema_name: str, include_public: bool = True, tenant_type: str | None = None) -> None: ...
    def set_schema_to_public(self) -> None: ...
    def set_tenant(self, tenant: TenantMixin, include_public: bool = True) -> None: ...
