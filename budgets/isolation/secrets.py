"""Credentials: where the references of tenants lead now, and whose folders the store of files has."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from django.conf import settings

from budgets.isolation.surface import Surface, judged
from kernel.ids import Tag, parse_tag
from kernel.tenancy import in_tenant
from vault.paths import ROOT, PathRefused, resolve
from vault.selectors.references import BackEnd, Place, known_places

_VARIABLE: Final = re.compile(r"CREDENTIAL_([A-Z2-7]{20})_")


def secret_surfaces(tenants: Sequence[tuple[Tag, str]]) -> list[Surface]:
    """`tenants` are tags with slugs. One short query in each tenant's schema; no store is asked."""
    return [_places(tenants), _local_stores([tag for tag, _ in tenants])]


def _places(tenants: Sequence[tuple[Tag, str]]) -> Surface:
    """Every path that a lease would ask for is the tenant's own, and no place is reached by two."""
    leaks: list[str] = []
    holders: dict[tuple[BackEnd, str], str] = {}
    seen = 0
    for tag, slug in tenants:
        with in_tenant(tag):
            places = known_places()
        seen += len(places)
        for place in places:
            where = _resolved(place, tag)
            if where is None or tag not in where.lower():
                leaks.append(f"{slug}: {place.name} leads out of its tenant's place")
            elif holders.setdefault((place.back_end, where), slug) != slug:
                leaks.append(f"{slug}: {place.name} leads where a reference of {holders[place.back_end, where]} does")
    return judged("credentials: each path is the tenant's own", f"{seen} places of {len(tenants)} tenants", leaks=leaks)


def _resolved(place: Place, tag: Tag) -> str | None:
    try:
        return resolve(place.back_end, place.path, tag)
    except PathRefused:
        return None


def _local_stores(tags: Sequence[Tag]) -> Surface:
    """Of the stores on this machine: each folder and variable belongs to one tenant, and no link leads elsewhere."""
    options = settings.CREDENTIALS
    known = set(tags)
    names = [match[1].lower() for name in options.variables if (match := _VARIABLE.match(name))]
    strange = [f"a variable of {name}" for name in names if name not in known]
    leaks: list[str] = []
    if options.folder is not None and options.folder.is_dir():
        for path in _entries(options.folder / ROOT):
            names.append(path.name)
            if path.is_symlink():
                leaks.append(f"{path.name} is a link")
            elif parse_tag(path.name) not in known:
                strange.append(f"{path.name} belongs to no tenant that is here")
    seen = f"{len(names)} folders and variables"
    return judged("credentials: stores of this machine", seen, leaks=leaks, riddles=strange)


def _entries(folder: Path) -> Iterator[Path]:
    return iter(sorted(folder.iterdir())) if folder.is_dir() else iter(())
