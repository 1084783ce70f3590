from tenants.models.display_rate import DisplayRate
from tenants.models.keeping_visit import KeepingVisit
from tenants.models.ledger_check import LedgerCheck
from tenants.models.open_request import OpenRequest
from tenants.models.plan import Plan
from tenants.models.platform_switch import PlatformSwitch
from tenants.models.tenant import Domain, Tenant, TenantStatus
from tenants.models.tenant_due import TenantDue
from tenants.models.tenant_standing import TenantStanding
from tenants.models.verification import Verification, VerifiedPart
from tenants.models.webhook_due import WebhookDue

__all__ = [
    "DisplayRate",
    "Domain",
    "KeepingVisit",
    "LedgerCheck",
    "OpenRequest",
    "Plan",
    "PlatformSwitch",
    "Tenant",
    "TenantDue",
    "TenantStanding",
    "TenantStatus",
    "Verification",
    "VerifiedPart",
    "WebhookDue",
]
