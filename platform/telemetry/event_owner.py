"""Whose events they are, as ids and bodies name it."""

from dataclasses import dataclass
from typing import Final

from kernel.ids import PLATFORM_TAG, Tag


@dataclass(frozen=True, slots=True)
class Owner:
    """A tenant by its tag, and by its slug, which is the protocol's `tenant_id`."""

    tag: Tag
    tenant_id: str

    @property
    def is_platform(self) -> bool:
        return self.tag == PLATFORM_TAG


PLATFORM: Final = Owner(tag=PLATFORM_TAG, tenant_id="__system__")
