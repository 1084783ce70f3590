"""SQL that is kept in files: one function a file, the file's name is the function's with its version."""

import re
from importlib import resources

from django.db.migrations.operations import RunSQL

_NAME = re.compile(r"[a-z0-9_]+_v[0-9]+")


def read_sql(package: str, name: str) -> str:
    """The text of `<package>/sql/<name>.sql`."""
    return resources.files(package).joinpath("sql", f"{name}.sql").read_text()


def create_function(package: str, name: str) -> RunSQL:
    """The migration step that makes a function. A released file is frozen: a change is the next version."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name} is not a versioned function name.")
    # A per cent sign in a file is not a placeholder: a statement in a list goes to the driver as it is.
    return RunSQL([(read_sql(package, name), None)], [(f"DROP FUNCTION {name}", None)])
