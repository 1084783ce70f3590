"""Commands for one tenant, from the operators' shell: what they print, write and change is that tenant's alone."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any, Final

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command, get_commands, load_command_class

from tests.foe.conftest import Feud
from tests.support.foe.victim import seen_in

#: What each is given beside the tenant. `{folder}` is where its files go.
COMMANDS: Final[Mapping[str, tuple[str, ...]]] = {
    "drop_decisions": ("--tenant", "initech", "--older-than-days", "400"),
    "kill": ("initech", "--reason", "To see whom it stops"),
    "reconcile": (
        *("--tenant", "initech", "--invoice", "{folder}/invoice.csv"),
        *("--csv", "{folder}/differences.csv"),
    ),
    "set_keeping": ("ledger", "400", "--tenant", "initech", "--by", "olive", "--reason", "As was signed"),
    "resume": ("initech", "--reason", "It was seen"),
    "verify_archives": ("--tenant", "initech"),
    "verify_ledger": ("--tenant", "initech"),
    "verify_rollups": ("--tenant", "initech"),
    "verify_seals": ("--tenant", "initech", "--heads-to", "{folder}/heads.json"),
}
#: Commands that are about one tenant and not tried, with the reason.
NOT_TRIED: Final[Mapping[str, str]] = {
    "create_member": "asks at the terminal; that it is of one tenant, tests/tenants/test_create_member.py shows",
    "create_tenant": "makes one, and refuses a slug that somebody has",
    "replay": "sends requests with the tenant's own key",
    "train_router": "trains from a file, through the service of the API's operation, which is tried",
}


def own_commands() -> dict[str, Any]:
    """The commands of the program that take a tenant."""
    own = {config.name for config in apps.get_app_configs() if "site-packages" not in config.path}
    found = {name: load_command_class(app, name) for name, app in get_commands().items() if app in own}
    return {name: command for name, command in sorted(found.items()) if _takes_tenant(command, name)}


def _takes_tenant(command: Any, name: str) -> bool:
    return any(action.dest in {"tenant", "slug"} for action in command.create_parser("manage.py", name)._actions)


@pytest.mark.parametrize("name", own_commands())
def test_every_command_for_a_tenant_is_known(name: str) -> None:
    assert (name in COMMANDS) != (name in NOT_TRIED), "Say how it is called, or why it is not tried."


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_one_tenants_is_another_ones_affair_in_nothing(name: str, feud: Feud, tmp_path: Path) -> None:
    said = StringIO()
    (tmp_path / "invoice.csv").write_text(f"date,model,cost\n{datetime.now(UTC):%Y-%m-%d},gpt-4o-mini,0.05\n")
    arguments = [argument.format(folder=tmp_path) for argument in COMMANDS[name]]
    run: Callable[[], Any] = lambda: call_command(name, *arguments, stdout=said, stderr=said)  # noqa: E731
    try:
        run()
    except CommandError as error:
        # So does one end that has found something.
        assert name == "reconcile"
        said.write(str(error))

    texts = [said.getvalue(), *(path.read_text() for path in tmp_path.iterdir())]
    assert [seen for text in texts if (seen := seen_in(text, feud.secrets))] == []
