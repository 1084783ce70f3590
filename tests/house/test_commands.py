"""What `manage.py` offers an operator: nothing that goes past the books."""

import subprocess
import sys

import pytest
from django.core.management import get_commands

from tests.plugins.servers import ROOT
from tests.support.processes import environment

REFUSED = {
    "delete_tenant": ["--schema", "x", "--noinput"],
    "clone_tenant": ["--clone_from", "x", "--clone_tenant_fields", "False"],
    "rename_schema": ["--rename_from", "x", "--rename_to", "y"],
    "create_tenant_superuser": ["--username", "x", "--schema=x"],
}


class TestCommandsOfDjangoTenants:
    @pytest.mark.parametrize("command", REFUSED)
    def test_that_would_go_past_the_books_are_ours(self, command: str) -> None:
        assert get_commands()[command] == "budgets"

    @pytest.mark.parametrize("arguments", [[command, *options] for command, options in REFUSED.items()])
    def test_that_would_go_past_the_books_refuse_in_one_sentence(self, arguments: list[str], database: None) -> None:
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )

        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("CommandError: ")
        assert done.stderr.count("\n") == 1
