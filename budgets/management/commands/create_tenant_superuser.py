"""``manage.py create_tenant_superuser``: refused. People sign in once for all tenants."""

from budgets.management.refused import RefusedCommand


class Command(RefusedCommand):
    help = "Refused: people sign in once for all tenants; create an operator instead."
    refusal = "People sign in once, not in a tenant's schema: use manage.py create_operator <email>."
