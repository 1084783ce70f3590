"""Whose an entry of the cache is: its key begins with the tenant in whose schema it is asked for.

So two tenants who use the same name have two entries, and no prefix has to be remembered where the cache is used.
"""

from django.db import connections

from kernel.tenancy import CELL

_SHARED = "public"


def tenant_key(key: str, key_prefix: str, version: int) -> str:
    """Django's KEY_FUNCTION. What is asked for outside of every tenant is shared."""
    schema = getattr(connections[CELL], "schema_name", None) or _SHARED
    return f"{key_prefix}:{schema}:{version}:{key}"
