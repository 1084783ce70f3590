from tenants.models.plan import Plan
from tenants.models.tenant import Domain, Tenant, TenantStatus
from tenants.models.tenant_due import TenantDue

__all__ = ["Domain", "Plan", "Tenant", "TenantDue", "TenantStatus"]
