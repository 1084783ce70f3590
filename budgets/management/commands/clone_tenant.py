"""``manage.py clone_tenant``: refused. A copy would have the keys, holds and entries of another tenant."""

from budgets.management.refused import RefusedCommand


class Command(RefusedCommand):
    help = "Refused: a copy would have another tenant's keys, holds and entries; create a tenant instead."
    refusal = "A copy would have another tenant's keys, holds and entries: use manage.py create_tenant <slug>."
