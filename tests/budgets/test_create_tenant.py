"""The operator's commands: a tenant, and a first key."""

from collections.abc import Iterator
from datetime import UTC, datetime
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from budgets.models import Budget
from kernel.tenancy import in_public, in_tenant
from tenants.models import Tenant
from tenants.services.plans import publish_plan
from tests.support.management import SCENE, Caller
from tests.support.tenants import drop_tenant


@pytest.fixture(autouse=True)
def cleared(database: None) -> Iterator[None]:
    yield
    with in_public():
        tenants = list(Tenant.objects.filter(slug__startswith="cli-"))
    for tenant in tenants:
        drop_tenant(tenant)


def run(*arguments: str) -> str:
    output = StringIO()
    call_command(*arguments, stdout=output)
    return output.getvalue()


class TestCreateTenant:
    def test_makes_one_whose_key_works(self) -> None:
        printed = run("create_tenant", "cli-one", "--name", "One", "--time-zone", "Asia/Kolkata", "--key")

        token = printed.rsplit(": ", 1)[1].strip()
        shown = Caller(token=token).get("tenants/cli-one").json()
        assert (shown["name"], shown["time_zone"], shown["status"]) == ("One", "Asia/Kolkata", "ACTIVE")

    def test_prints_no_key_that_nobody_asked_for(self) -> None:
        assert "wm_live" not in run("create_tenant", "cli-one")

    def test_starts_it_on_a_plan(self) -> None:
        defaults = {"budgets": [{"unit": "TOKENS", "allocated": 3}]}
        publish_plan(code="cli", name="Cli", price=0, defaults=defaults, actor=SCENE, now=datetime.now(UTC))

        assert run("create_tenant", "cli-one", "--plan", "cli") == "Tenant cli-one is ready on cli v1.\n"

        with in_public():
            tenant = Tenant.objects.get(slug="cli-one")
        with in_tenant(tenant.tag):
            assert Budget.objects.get().allocated == 3

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (("CLI",), "begins with a letter"),
            (("cli-x", "--plan", "none"), "no plan none"),
            (("cli-x", "--time-zone", "Mars"), "Mars is not in"),
        ],
    )
    def test_says_in_a_sentence_what_is_wrong(self, arguments: tuple[str, ...], words: str) -> None:
        with pytest.raises(CommandError, match=words):
            run("create_tenant", *arguments)

    def test_refuses_a_slug_twice(self) -> None:
        run("create_tenant", "cli-one")

        with pytest.raises(CommandError, match="There is, or was"):
            run("create_tenant", "cli-one")


class TestCreatePlatformKey:
    def test_prints_a_token_that_works(self) -> None:
        token = run("create_platform_key", "olive").rsplit(": ", 1)[1].strip()

        assert Caller(token=token).get("tenants").status_code == 200
        assert Caller(token=token).get("platform-keys").json()["keys"][-1]["name"] == "olive"
