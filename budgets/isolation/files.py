"""Files: what is written for a tenant lies in a folder of its own, and nothing leads out of it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from django.conf import settings

from budgets.isolation.surface import Surface, judged
from kernel.ids import PLATFORM_TAG, Tag, parse_tag
from kernel.tenancy import in_tenant
from telemetry.selectors.archive_files import newest_archives

_FILES_MAX = 100_000


def file_surfaces(tenants: Sequence[tuple[Tag, str]]) -> list[Surface]:
    """`tenants` are tags with slugs. One short query in each tenant's schema."""
    folder = Path(settings.ARCHIVE_DIR) if settings.ARCHIVE_DIR else None
    leaks: list[str] = []
    strange: list[str] = []
    seen = 0
    for path in _entries(folder):
        seen += 1
        if path.is_symlink():
            leaks.append(f"{path.name} is a link")
        # That of a tenant that is gone stays: its tag is never given twice.
        elif parse_tag(path.name) is None and path.name != PLATFORM_TAG:
            strange.append(f"{path.name} is no tenant's")
        else:
            leaks += [f"{path.name}/{each.name} is a link" for each in _entries(path) if each.is_symlink()]
    known = 0
    for tag, slug in tenants:
        with in_tenant(tag):
            files = newest_archives(limit=_FILES_MAX)
        known += len(files)
        leaks += [f"{slug}: {file.name} is not its own" for file in files if not file.is_sound(owner=tag)]
    return [
        judged(
            "archives: each in its tenant's folder",
            f"{seen} folders, {known} files of {len(tenants)} tenants",
            leaks=leaks,
            riddles=strange,
        )
    ]


def _entries(folder: Path | None) -> Iterator[Path]:
    return iter(sorted(folder.iterdir())) if folder is not None and folder.is_dir() else iter(())
