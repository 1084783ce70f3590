"""What every test may ask for."""

from tests.plugins.database import database, django_db_setup

__all__ = ["database", "django_db_setup"]
