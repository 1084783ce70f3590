"""The demo, put on the stage by its own command."""

from io import StringIO

from django.core.management import call_command


def seed(*arguments: str) -> str:
    """What `manage.py seed_demo` says."""
    said = StringIO()
    call_command("seed_demo", *arguments, stdout=said)
    return said.getvalue()
