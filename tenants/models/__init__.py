from tenants.models.plan import Plan
from tenants.models.tenant import Domain, Tenant, TenantStatus

__all__ = ["Domain", "Plan", "Tenant", "TenantStatus"]
