"""SQL that is kept in files: one function a file, the file's name is the function's with its version."""

import re
from importlib import resources

from django.db.migrations.operations import RunSQL

_NAME = re.compile(r"[a-z0-9_]+_v[0-9]+")


def read_sql(package: str, name: str) -> str:
    """The text of `<package>/sql/<name>.sql`. A name may lead into a folder: `judge/price_call_v1`."""
    return resources.files(package).joinpath("sql", *f"{name}.sql".split("/")).read_text()


def create_function(package: str, name: str, *, schema: str = "") -> RunSQL:
    """The migration step that makes a function. A released file is frozen: a change is the next version."""
    qualified = f"{schema}.{_function_name(name)}" if schema else _function_name(name)
    # A per cent sign in a file is not a placeholder: a statement in a list goes to the driver as it is.
    return RunSQL([(read_sql(package, name), None)], [(f"DROP FUNCTION {qualified}", None)])


def replace_function(package: str, name: str) -> RunSQL:
    """The step that makes a function anew where an earlier one may be there: it changed before the first release."""
    drop = f"DROP FUNCTION IF EXISTS {_function_name(name)}"
    return RunSQL([(drop, None), (read_sql(package, name), None)], [(drop, None)])


def _function_name(name: str) -> str:
    function = name.rpartition("/")[2]
    if not _NAME.fullmatch(function):
        raise ValueError(f"{function} is not a versioned function name.")
    return function


def grant_definer(signature: str) -> RunSQL:
    """The step that lets the processes call a function that runs as its owner, and lets it find one schema alone.

    Without the second, whoever calls it could have it find tables of their own choice.
    """
    name = signature.partition("(")[0]
    _function_name(name)
    pin = (
        "DO $$ BEGIN EXECUTE format('ALTER FUNCTION %I." + signature + " SET search_path = %I, pg_temp',"
        " current_schema(), current_schema()); END $$"
    )
    return RunSQL(
        [
            (pin, None),
            (f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC", None),
            (f"GRANT EXECUTE ON FUNCTION {signature} TO watermaster_app", None),
        ],
        RunSQL.noop,
    )
