"""``manage.py rename_schema``: refused. The schema's name is in every key and id of the tenant."""

from budgets.management.refused import RefusedCommand


class Command(RefusedCommand):
    help = "Refused: the schema's name is in every key and id of the tenant."
    refusal = "A schema's name is in every key and id of its tenant, which would all stop working: it stays."
