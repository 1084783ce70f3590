"""The demo's credential references, to files of this machine. The files are made with them, and hold no real secret."""

from datetime import datetime
from pathlib import Path

from budgets.services.demo.cast import DemoReference, DemoTenant
from budgets.services.demo.stage import ACTOR, is_in_business
from kernel.ids import Tag
from kernel.tenancy import in_tenant
from vault.kinds import OPERATOR_BACK_ENDS, BackEnd
from vault.locations import Location
from vault.paths import resolve
from vault.selectors.leasable import leasable
from vault.services.reference_checks import NewReference
from vault.services.references import add_reference


def ensure_references(tenant: DemoTenant, *, tag: Tag, folder: Path | None, now: datetime) -> None:
    """Those that are missing, where files of `folder` are set up as a store. Safe to repeat."""
    with in_tenant(tag):
        if folder is None or not is_in_business():
            return
        for reference in tenant.references:
            if leasable(f"{reference.provider}:{reference.right}", now=now) is None:
                _add(reference, tag=tag, folder=folder, now=now)


def _add(reference: DemoReference, *, tag: Tag, folder: Path, now: datetime) -> None:
    location = Location(path=f"wm/{{tenant}}/{reference.provider}", key="token")
    file = folder / resolve(BackEnd.FILE, location.path, tag)
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(f'{{"token": "demo-{reference.provider}-of-this-machine"}}\n')
    new = NewReference(
        name=reference.name,
        provider=reference.provider,
        scope=f"{reference.provider}:{reference.right}",
        back_end=BackEnd.FILE,
        location=location,
        note=reference.note,
    )
    add_reference(new, allowed=OPERATOR_BACK_ENDS, actor=ACTOR, now=now)
