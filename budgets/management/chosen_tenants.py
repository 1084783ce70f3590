"""The tenants that a command is to look at: all with books, or the one that was named."""

from collections.abc import Iterator

from django.core.management.base import CommandError

from kernel.ids import parse_tag
from tenants.selectors.directory import TenantLine, directory_page, tenant_by_slug, tenant_by_tag

_PAGE = 500


def chosen_tenants(name: str | None) -> Iterator[TenantLine]:
    """All with books, or the one of this slug or tag. Raises `CommandError` where there is none such."""
    if name is None:
        yield from _all()
        return
    tag = parse_tag(name)
    line = tenant_by_slug(name) or (tenant_by_tag(tag) if tag else None)
    if line is None or not line.has_books:
        raise CommandError(f"There is no tenant {name} with books.")
    yield line


def _all() -> Iterator[TenantLine]:
    after: str | None = ""
    while after is not None:
        page = directory_page(after=after, limit=_PAGE)
        yield from (line for line in page.tenants if line.has_books)
        after = page.next_after
