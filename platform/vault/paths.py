"""Where a reference may lead: below its own tenant's place and nowhere else.

A path is a template that names the tenant as `{tenant}`, at the one place that its back end has for it. What is put
there is the tenant's tag, which is of fixed length and never given twice, so no tenant's place is the beginning of
another's. Everything that is not plainly allowed is refused: what a server might decode, fold or cut off (`%2e`, `..`,
`?`, `#`, a backslash, another mount, a full-width dot) never gets there. Checked when saved, and again when resolved.
"""

import re
from typing import Final

from kernel.ids import PLATFORM_TAG, Tag, parse_tag
from vault.kinds import BackEnd

TENANT: Final = "{tenant}"
#: The folder of all tenants, within the mount, the account or the folder that the installation names.
ROOT: Final = "wm"
LENGTH_MAX: Final = 400

_SEGMENT: Final = r"(?!\.+(?:/|\Z))[A-Za-z0-9_.-]{1,100}"
_BELOW_TENANT: Final = re.compile(rf"{ROOT}/\{{tenant\}}(?:/{_SEGMENT}){{1,8}}")
# Roles of dynamic engines are one segment, so the tenant stands at its beginning.
_ROLE: Final = re.compile(r"([a-z][a-z0-9_-]{0,63})/creds/\{tenant\}-[A-Za-z0-9_-]{1,60}")
_VARIABLE: Final = re.compile(r"CREDENTIAL_\{tenant\}_[A-Z][A-Z0-9_]{0,100}")
_SHAPES: Final = {
    BackEnd.KV: _BELOW_TENANT,
    BackEnd.DYNAMIC: _ROLE,
    BackEnd.AWS: _BELOW_TENANT,
    BackEnd.FILE: _BELOW_TENANT,
    BackEnd.ENVIRONMENT: _VARIABLE,
}
#: One that is allowed, for help texts and refusals.
EXAMPLES: Final = {
    BackEnd.KV: "wm/{tenant}/slack",
    BackEnd.DYNAMIC: "database/creds/{tenant}-readonly",
    BackEnd.AWS: "wm/{tenant}/slack",
    BackEnd.FILE: "wm/{tenant}/slack",
    BackEnd.ENVIRONMENT: "CREDENTIAL_{tenant}_SLACK",
}


class PathRefused(Exception):
    """The path could lead out of its tenant's place, or is none; the message is a sentence for whoever typed it."""


def check_template(back_end: BackEnd, template: str) -> str:
    """The template as it is, if every path that it makes is its tenant's own. Raises `PathRefused`."""
    if len(template) > LENGTH_MAX:
        raise PathRefused(f"A path has at most {LENGTH_MAX} characters.")
    if template.count(TENANT) != 1:
        raise PathRefused(f"The path must name the tenant once, as {TENANT}: {EXAMPLES[back_end]}.")
    if not _SHAPES[back_end].fullmatch(template):
        raise PathRefused(
            f"The path must have the form {EXAMPLES[back_end]}. Letters, digits, _ . and - are allowed,"
            " and nothing that leads elsewhere."
        )
    return template


def resolve(back_end: BackEnd, template: str, tag: Tag) -> str:
    """The tenant's own path. Raises `PathRefused`, also for what was saved before or past the check."""
    if parse_tag(tag) != tag or tag == PLATFORM_TAG:
        raise PathRefused("The path needs a tenant.")
    name = tag.upper() if back_end == BackEnd.ENVIRONMENT else tag
    return check_template(back_end, template).replace(TENANT, name)


def own_place(back_end: BackEnd, tag: Tag) -> str:
    """What every path of the tenant begins with, or has as its last segment's beginning in a dynamic engine."""
    if back_end == BackEnd.ENVIRONMENT:
        return f"CREDENTIAL_{tag.upper()}_"
    return f"{tag}-" if back_end == BackEnd.DYNAMIC else f"{ROOT}/{tag}/"


def mount_of(role_path: str) -> str:
    """The dynamic engine that a resolved path asks: the installation says which ones there are."""
    return role_path.partition("/")[0]
