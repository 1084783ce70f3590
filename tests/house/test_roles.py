"""What the role of api, console and workers may and may not do."""

import pytest
from django.db import ProgrammingError, connection, connections

pytestmark = pytest.mark.usefixtures("database")


class TestRuntimeRole:
    def test_is_the_role_that_owns_nothing(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT session_user, current_user")

            assert cursor.fetchone() == ("watermaster_runtime", "watermaster_app")

    @pytest.mark.parametrize(
        "statement",
        [
            "CREATE TABLE public.x (y int)",
            "CREATE TEMPORARY TABLE x (y int)",
            "CREATE SCHEMA x",
            "DROP TABLE public.tenant",
            "ALTER TABLE public.tenant ADD COLUMN x int",
            "TRUNCATE public.tenant",
        ],
    )
    def test_cannot_change_the_shape_of_anything(self, statement: str) -> None:
        with connection.cursor() as cursor, pytest.raises(ProgrammingError):
            cursor.execute(statement)

    def test_reads_and_writes_the_shared_tables(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM public.tenant")

            assert cursor.fetchone() is not None

    def test_sees_the_durable_settings(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('fsync'), current_setting('synchronous_commit')")

            assert cursor.fetchone() == ("on", "on")


class TestOwnerAlias:
    def test_logs_in_as_the_owner_of_the_schemas(self) -> None:
        with connections["owner"].cursor() as cursor:
            cursor.execute("SELECT current_user")

            assert cursor.fetchone() == ("watermaster_owner",)
