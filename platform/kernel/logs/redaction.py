"""Removing secrets from what is written down: the second net, behind the rule that nobody logs one.

By their shape (keys of ours and of well-known others), by their name (`password=…`, a header `Authorization`), by the
address in which they stand, and the installation's own by their value.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

REMOVED: Final = "[removed]"
_VALUE_LENGTH_MIN: Final = 8
_DEPTH_MAX: Final = 6

# Wider than the format on purpose: cut-off, upper-cased and mistyped keys must not be shown either, nor
# a secret that lost its prefix.
LIKE_A_KEY: Final = re.compile(
    r"wm_(?:live|test)_\w*|(?<![0-9A-Za-z])[0-9A-Za-z]{43}(?:_[0-9A-Za-z]{6})?(?![0-9A-Za-z])",
    re.ASCII | re.IGNORECASE,
)
_SHAPES: Final = (
    LIKE_A_KEY,
    # Webhooks' and providers' keys, tokens of vaults, of AWS, of GitHub and Slack, and JSON web tokens.
    re.compile(
        r"\b(?:whsec_[\w+/=-]+|sk-[\w-]{16,}|hv[sbr]\.[\w-]{12,}|s\.[0-9A-Za-z]{24}\b|(?:AKIA|ASIA)[0-9A-Z]{16}|"
        r"gh[opsur]_\w{20,}|xox[abprs]-[\w-]{10,}|eyJ[\w-]{8,}(?:\.[\w-]*){0,2})",
        re.ASCII,
    ),
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
)
#: What stands behind these goes, and they stay.
_NAMED: Final = re.compile(
    r"""((?:pass(?:word|wd)?|secret|token|api[-_]?key|authorization|credentials?|cookie)["']?\s*[:=]\s*["']?"""
    r"""(?:bearer\s+|basic\s+)?)[^\s"',;&}\])]+""",
    re.IGNORECASE,
)
#: Addresses that let somebody in: what stands in them is as good as a password.
_LINKS: Final = re.compile(r"(/accounts/(?:invitation|password/reset)/)[\w-]{20,}", re.ASCII)
_BEARER: Final = re.compile(r"\b((?:bearer|basic)\s+)[\w.~+/=-]{6,}", re.IGNORECASE)
# No scheme is longer; without a bound a text of many dots would be read once for each of them.
_URL_LOGIN: Final = re.compile(r"(\b[a-z][a-z0-9+.-]{0,30}://[^\s:/@]*:)[^\s/@]+(@)", re.IGNORECASE)
_SECRET_NAMES: Final = re.compile(
    r"(^|_)pass(word|wd|phrase)?($|_)|secret|(^|_)token($|_)|api_?key$|authorization|cookie|private_?key|digest",
    re.IGNORECASE,
)


def redacted(text: str, *, known: Sequence[str] = ()) -> str:
    """`text` without anything that could be a secret, and without the values in `known`."""
    for value in known:
        if len(value) >= _VALUE_LENGTH_MIN:
            text = text.replace(value, REMOVED)
    text = _URL_LOGIN.sub(rf"\1{REMOVED}\2", text)
    for shape in _SHAPES:
        text = shape.sub(REMOVED, text)
    for named in (_LINKS, _NAMED, _BEARER):
        text = named.sub(rf"\1{REMOVED}", text)
    return text


def redacted_value(value: Any, *, known: Sequence[str] = (), depth: int = 0) -> Any:
    """Whatever a line of a log carries, without secrets; what lies too deep to be looked at is left out."""
    if isinstance(value, str):
        return redacted(value, known=known)
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth >= _DEPTH_MAX:
        return REMOVED
    if isinstance(value, Mapping):
        return redacted_fields(value, known=known, depth=depth + 1)
    if isinstance(value, list | tuple | set | frozenset):
        return [redacted_value(each, known=known, depth=depth + 1) for each in value]
    return redacted(str(value), known=known)


def redacted_fields(fields: Mapping[Any, Any], *, known: Sequence[str] = (), depth: int = 0) -> dict[str, Any]:
    """The same fields; those whose name says that they hold a secret keep their name alone."""
    return {
        redacted(str(name), known=known): (
            REMOVED if value and _SECRET_NAMES.search(str(name)) else redacted_value(value, known=known, depth=depth)
        )
        for name, value in fields.items()
    }
