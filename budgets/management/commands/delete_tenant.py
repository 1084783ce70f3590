"""``manage.py delete_tenant``: refused. A tenant's books are kept."""

from budgets.management.refused import RefusedCommand


class Command(RefusedCommand):
    help = "Refused: a tenant's books are kept; close the tenant instead."
    refusal = "A tenant is closed and its books are kept: POST /api/v1/tenants/<slug>/close."
