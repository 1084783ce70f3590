"""Where a value on a tenant's page comes from, and what stands in the same column of another tenant's table.

So a form can be sent as the other tenant would fill it in, whoever adds it and whatever its fields are called.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Final

from accounts.models import Membership
from kernel.ids import WirePrefix, mint_wire_id, parse_wire_id, uuid7
from kernel.tenancy import in_public
from tenants.models import Tenant
from tests.support.foe.victim import columns_of

type Column = tuple[str, str]

_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_WIRE: Final = re.compile(r"(rsv|evt|dec|whsub)_[a-z2-7]{20}_[0-9a-f]{48}")
_EMAIL: Final[Column] = ("membership", "email")


@dataclass(frozen=True, slots=True)
class Swap:
    """A value with something of the other tenant's in it, and the same with something that nobody has."""

    theirs: str
    nobodys: str


@dataclass(frozen=True, slots=True)
class Provenance:
    """Of the values of the tenant `own`, whose are swapped for those of `theirs`."""

    own: Tenant
    theirs: Tenant
    _columns: Mapping[str, Column] = field(init=False)
    _values: Mapping[Column, list[str]] = field(init=False)

    def __post_init__(self) -> None:
        mine, others = ({**columns_of(one.schema_name), _EMAIL: _emails(one)} for one in (self.own, self.theirs))
        found = {value: column for column, values in mine.items() for value in values}
        # What both have says nothing of where it comes from.
        shared = {value for values in others.values() for value in values}
        object.__setattr__(self, "_columns", {value: found[value] for value in found.keys() - shared})
        only = {column: [value for value in values if value not in found] for column, values in others.items()}
        object.__setattr__(self, "_values", only)

    def swaps(self, value: str) -> Iterator[Swap]:
        """Every way to put something of the other tenant's into `value`."""
        for wire in _WIRE.finditer(value):
            prefix: WirePrefix = wire[1]  # type: ignore[assignment]
            if (parsed := parse_wire_id(prefix, wire[0])) and (other := self._other(str(parsed.uuid))):
                tag = self.theirs.tag
                names = (mint_wire_id(prefix, tag, each) for each in (type(parsed.uuid)(other), uuid7()))
                yield Swap(*(value.replace(wire[0], name) for name in names))
        for uuid in dict.fromkeys(_UUID.findall(value)):
            if other := self._other(uuid):
                yield Swap(value.replace(uuid, other), value.replace(uuid, str(uuid7())))
        if not _UUID.search(value) and (other := self._other(value)):
            domain = "@example.test" if "@" in value else ""
            yield Swap(other, f"nobodys-{token_hex(4)}{domain}")

    def _other(self, value: str) -> str | None:
        column = self._columns.get(value)
        return next(iter(self._values.get(column, ())), None) if column else None


def _emails(tenant: Tenant) -> list[str]:
    with in_public():
        found = Membership.objects.filter(tenant_tag=tenant.tag).select_related("user").order_by("pk")
        return [one.user.email for one in found]
