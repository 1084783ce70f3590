"""What `kill` and `resume` have in common: which tenant or the platform, and which part of it."""

from django.core.management.base import CommandError, CommandParser

from kernel.ids import Tag
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


def named(level: SwitchLevel, name: str, *, tenant: str | None) -> str:
    """What is stopped, in words: `agent triage of acme`."""
    if level in {SwitchLevel.PLATFORM, SwitchLevel.TENANT}:
        return tenant or "the platform"
    return f"{level} {name} {f'of {tenant}' if tenant else 'for every tenant'}"
