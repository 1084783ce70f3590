from vault.kinds import BackEnd, Health
from vault.models.credential_lease import CredentialLease
from vault.models.credential_reference import CredentialReference, ReferenceStatus

__all__ = ["BackEnd", "CredentialLease", "CredentialReference", "Health", "ReferenceStatus"]
