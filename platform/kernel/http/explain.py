"""From msgspec's terse complaint to a sentence for the caller: which field, and what to mend.

A sentence never repeats a value. The name of an unknown field is repeated only where it looks like a name,
because people paste keys into the wrong place.
"""

import re
from typing import Final

import msgspec
from msgspec import inspect

from kernel.http.errors import ErrorCode, ProtocolError, invalid_request
from kernel.money import Unit

_COMPLAINT: Final = re.compile(
    r"(?P<what>.*?)(?: - at (?P<key>`key` in )?`\$(?P<path>[A-Za-z0-9_.\[\]]*)`)?", re.DOTALL
)
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}", re.ASCII)
_PATH_STEP: Final = re.compile(r"\.([A-Za-z0-9_]+)|\[")

_KINDS: Final = {
    "int": "an integer",
    "float": "a number",
    "str": "a string",
    "bool": "true or false",
    "null": "null",
    "object": "an object",
    "array": "a list",
}
_KINDS_GIVEN: Final = _KINDS | {"float": "a number with a fraction or an exponent", "bool": "a boolean"}


class FieldError(ValueError):
    """A rule of a struct that types cannot express; raise it in `__post_init__`.

    `field` is the path below that struct, and `must` ends a sentence that begins with the whole path.
    """

    def __init__(self, field: str, must: str) -> None:
        super().__init__(must)
        self.field = field
        self.must = must


def explain(error: msgspec.ValidationError, struct: type[msgspec.Struct]) -> ProtocolError:
    """The 400 for `error`, which came of decoding a `struct`."""
    match = _COMPLAINT.fullmatch(str(error))
    what, path = (match["what"], match["path"] or "") if match else ("", "")
    path = path.removeprefix(".")
    if isinstance(error.__cause__, FieldError):
        path = join(path, error.__cause__.field) if error.__cause__.field else path
        return _refusal(path, error.__cause__.must)
    if what.startswith("Invalid enum value"):
        return _not_one_of(path, _type_at(struct, path))
    if (name := _quoted(what, "Object missing required field ")) is not None:
        return _refusal(join(path, name), "is missing")
    if (name := _quoted(what, "Object contains unknown field ")) is not None:
        return _unknown(path, name)
    must = _must(what, struct, path)
    return _refusal(path, f"has a key that {must}" if match and match["key"] else must)


def join(path: str, name: str) -> str:
    """The path of the field `name` below `path`; a name that could be anything else is not shown."""
    if not _NAME.fullmatch(name):
        return f"{path}[...]"
    return f"{path}.{name}" if path else name


def _refusal(path: str, must: str) -> ProtocolError:
    return invalid_request(f"{path or 'The body'} {must}.", field=path or None)


def _unknown(path: str, name: str) -> ProtocolError:
    if _NAME.fullmatch(name):
        return _refusal(join(path, name), "is not a field of this request; remove it")
    return _refusal(path, "has a field that is not part of this request; remove it")


def _quoted(what: str, prefix: str) -> str | None:
    return what.removeprefix(prefix).strip("`") if what.startswith(prefix) else None


def _must(what: str, struct: type[msgspec.Struct], path: str) -> str:
    """What msgspec's complaint asks for, as the end of a sentence."""
    if match := re.fullmatch(r"Expected `(\w+)`, got `(\w+)`", what):
        wanted, given = _KINDS.get(match[1], match[1]), _KINDS_GIVEN.get(match[2], match[2])
        return f"must be {wanted}, not {given}"
    if match := re.fullmatch(r"Expected `int` (>=|<=) (-?\d+)", what):
        return f"must be {'at least' if match[1] == '>=' else 'at most'} {match[2]}"
    if match := re.fullmatch(r"Expected `(\w+)` of length (>=|<=) (\d+)", what):
        bound = "at least" if match[2] == ">=" else "at most"
        things = "characters" if match[1] == "str" else "entries"
        return f"must have {bound} {match[3]} {things}"
    if what.startswith("Expected `str` matching regex"):
        return _type_description(_type_at(struct, path))
    if "out of range" in what:
        return "holds a number that is too large"
    return "is not valid"


def _not_one_of(path: str, kind: inspect.Type | None) -> ProtocolError:
    if not isinstance(kind, inspect.EnumType):
        return _refusal(path, "is not one of the allowed values")
    allowed = [str(member.value) for member in kind.cls]
    refusal = _refusal(path, f"must be one of {', '.join(allowed)}")
    if kind.cls is not Unit:
        return refusal
    details = {"field": path, "expected_units": allowed}
    return ProtocolError(ErrorCode.UNIT_MISMATCH, refusal.message, details=details)


def _type_description(kind: inspect.Type | None) -> str:
    if isinstance(kind, inspect.Metadata) and kind.extra_json_schema:
        return f"must be {kind.extra_json_schema.get('description', 'of another form')}"
    return "is not of the right form"


def _type_at(struct: type[msgspec.Struct], path: str) -> inspect.Type | None:
    """The declared type of the field at `path`."""
    kind: inspect.Type | None = inspect.type_info(struct)
    for step in _PATH_STEP.finditer(f".{path}" if path else ""):
        kind = _child(_plain(kind), step[1])
    return kind


def _plain(kind: inspect.Type | None) -> inspect.Type | None:
    return kind.type if isinstance(kind, inspect.Metadata) else kind


def _child(kind: inspect.Type | None, name: str | None) -> inspect.Type | None:
    if isinstance(kind, inspect.StructType):
        return next((field.type for field in kind.fields if field.encode_name == name), None)
    if isinstance(kind, inspect.DictType):
        return kind.value_type
    if isinstance(kind, (inspect.ListType, inspect.VarTupleType)):
        return kind.item_type
    return None
