from vault.kinds import BackEnd, Health
from vault.models.credential_reference import CredentialReference, ReferenceStatus

__all__ = ["BackEnd", "CredentialReference", "Health", "ReferenceStatus"]
