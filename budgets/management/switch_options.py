"""What `kill` and `resume` have in common: which tenant or the platform, which part of it, and what is refused."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management.base import CommandError, CommandParser
from django.db import OperationalError

from budgets.services.guards import TenantIsClosed
from kernel.ids import Tag
from kernel.stops import InvalidSwitch
from kernel.switches import SwitchLevel
from tenants.selectors.directory import tenant_by_slug


def add_switch_arguments(parser: CommandParser) -> None:
    parser.add_argument("tenant", nargs="?", help="The tenant's slug.")
    parser.add_argument("--platform", action="store_true", help="For every tenant.")
    parser.add_argument(
        "--level", choices=SwitchLevel.values, help="What of it; all of the tenant or platform when left out."
    )
    parser.add_argument("--name", default="", help="Which one of that level, like triage or openai:gpt-4o.")


def level_of(level: str | None, *, is_platform: bool) -> SwitchLevel:
    whole = SwitchLevel.PLATFORM if is_platform else SwitchLevel.TENANT
    return whole if level is None else SwitchLevel(level)


def tag_of(tenant: str | None, *, is_platform: bool) -> Tag | None:
    """The tenant's tag; None for the platform. Raises CommandError."""
    if is_platform == (tenant is not None):
        raise CommandError("Name a tenant, or --platform for every tenant.")
    if tenant is None:
        return None
    line = tenant_by_slug(tenant)
    if line is None or not line.has_books:
        raise CommandError(f"There is no tenant {tenant} with books.")
    return line.tag


@contextmanager
def refusals_in_words(tenant: str | None) -> Iterator[None]:
    """What the services refuse in the block is a CommandError."""
    try:
        yield
    except InvalidSwitch as error:
        raise CommandError(f"{error.field} {error}.") from None
    except TenantIsClosed:
        raise CommandError(f"{tenant} is closed, and nothing of it works any more.") from None
    except OperationalError:
        raise CommandError("The database is away, or others hold the books. Repeat the command.") from None


def named(level: SwitchLevel, name: str, *, tenant: str | None) -> str:
    """What is stopped, in words: `agent triage of acme`."""
    if level in {SwitchLevel.PLATFORM, SwitchLevel.TENANT}:
        return tenant or "the platform"
    return f"{level} {name} {f'of {tenant}' if tenant else 'for every tenant'}"
