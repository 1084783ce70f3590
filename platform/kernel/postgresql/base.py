"""A connection that takes on a role together with a search path: in a tenant's schema, the tenant's own.

What the search path or a qualified name leads to by mistake, the role may not touch. Both are set by one message to the
server, before the first statement after a change of schema, and both end with a transaction that is rolled back.
"""

from typing import Any, Final

from django.db import DataError, ProgrammingError
from django.db.backends.utils import CursorDebugWrapper, CursorWrapper
from django_tenants.postgresql_backend import base
from psycopg import errors, sql
from psycopg.pq import TransactionStatus

from kernel.roles import APP_ROLE, tenant_role

#: In a database's settings: its sessions take on roles. Those of the owner of the schemas stay what they are.
TAKES_ROLES: Final = "TAKES_ROLES"


class _InPlace:
    """A cursor that outlived a change of schema, or a savepoint, does not go on where that left the session."""

    db: "DatabaseWrapper"

    def _execute(self, *given: Any) -> Any:
        self.db.take_place()
        return super()._execute(*given)  # type: ignore[misc]  # of Django's cursor, which comes next

    def _executemany(self, *given: Any) -> Any:
        self.db.take_place()
        return super()._executemany(*given)  # type: ignore[misc]


class _Cursor(_InPlace, CursorWrapper):
    pass


class _DebugCursor(_InPlace, CursorDebugWrapper):
    pass


class DatabaseWrapper(base.DatabaseWrapper):
    """`set_schema` says where the next statements run and as whom; `take_role` names another one for the same place."""

    taken_role: str | None = None

    def set_tenant(self, tenant: Any, include_public: bool = True) -> None:
        self.taken_role = None
        super().set_tenant(tenant, include_public)

    def take_role(self, role: str | None) -> None:
        """Be at work as `role` until the next `set_schema`; None for the one that goes with the schema."""
        self.taken_role = role
        self.search_path_set_schemas = None

    @property
    def role(self) -> str:
        """As whom the next statement runs."""
        return self.taken_role or (APP_ROLE if self.schema_name == "public" else tenant_role(self.schema_name))

    def make_cursor(self, cursor: Any) -> CursorWrapper:
        return _Cursor(cursor, self)

    def make_debug_cursor(self, cursor: Any) -> CursorDebugWrapper:
        return _DebugCursor(cursor, self)

    def commit(self) -> None:
        # Where a statement failed and nobody told Django, the server answers by rolling back, and the place goes too.
        if self.connection is not None and self.connection.info.transaction_status == TransactionStatus.INERROR:
            self.search_path_set_schemas = None
        super().commit()

    def take_place(self) -> None:
        """Send schema and role, if the session is not known to have them."""
        if not self.search_path_set_schemas:
            self._handle_search_path()

    def _handle_search_path(self, cursor: Any = None) -> None:
        # In django-tenants' own, a search path that cannot be set is passed over, and the statement runs where the one
        # before it did. A role may be missing, and then nothing may run.
        if self._setting_search_path or self.search_path_set_schemas:
            return
        # What comes next in a failed transaction is refused, or it ends it; then this is asked again.
        if self.connection.info.transaction_status == TransactionStatus.INERROR:
            return
        schemas = self._get_cursor_search_paths()
        self._setting_search_path = True
        try:
            if cursor is None:
                with self.connection.cursor() as its_own:
                    its_own.execute(self._place(schemas))
            else:
                cursor.execute(self._place(schemas))
        except (DataError, errors.InvalidParameterValue) as error:
            # One role a schema: where it is missing, so is the tenant.
            gone = errors.InvalidSchemaName(str(error))
            raise ProgrammingError(f"There is no role for {self.schema_name}.") from gone
        finally:
            self._setting_search_path = False
        self.search_path_set_schemas = schemas

    def _place(self, schemas: list[str]) -> str:
        path = sql.SQL("SET search_path = {}").format(sql.SQL(",").join(map(sql.Identifier, schemas)))
        if self.settings_dict.get(TAKES_ROLES):
            path += sql.SQL("; SET ROLE {}").format(sql.Identifier(self.role))
        return path.as_string()
