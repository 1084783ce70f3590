"""The roles that the processes take on in PostgreSQL, each with the rights of one place and no other."""

from typing import Final

#: At work in the shared schema. Of a tenant's schema it may call the door and read nothing.
APP_ROLE: Final = "watermaster_app"
#: Reads some tables of many tenants in one statement, for operators' pages and the worker's rounds; writes nothing.
ACROSS_ROLE: Final = "watermaster_across"
#: What every tenant's role may do in the shared schema.
TENANT_ROLE: Final = "watermaster_tenant"


def tenant_role(schema: str) -> str:
    """The role of the tenant with this schema. It may do nothing in any other tenant's."""
    return f"watermaster_{schema}"
