"""JSON Schemas of the runtime plane's bodies, made from the structs that read and write them."""

import re
from typing import Any, Final

import msgspec

from budgets.api import own_requests, requests
from budgets.api.parts import LEVELS
from budgets.api.runtime import bodies, own_bodies
from kernel.http.errors import ErrorBody

type JsonSchema = dict[str, Any]

_REQUESTS: Final = (
    requests.DecideRequest,
    requests.ReserveRequest,
    requests.CommitRequest,
    requests.ReleaseRequest,
    requests.ExtendRequest,
    requests.EventRequest,
    own_requests.AdmitRequest,
    own_requests.SettleRequest,
    own_requests.ToolsRequest,
    own_requests.LeaseRequest,
    own_requests.HeldLeaseRequest,
)
_ANSWERS: Final = (
    bodies.DecideBody,
    bodies.ReserveBody,
    bodies.CommitBody,
    bodies.ReleaseBody,
    bodies.ExtendBody,
    bodies.EventBody,
    own_bodies.AdmitBody,
    own_bodies.SettleBody,
    own_bodies.ToolsBody,
    own_bodies.IsolationBody,
    own_bodies.LeaseBody,
    own_bodies.RenewedBody,
    own_bodies.GivenBackBody,
    bodies.ReservationBody,
    bodies.ReservationListBody,
    bodies.BalanceListBody,
    ErrorBody,
)
_REF: Final = "#/components/schemas/"
#: What answers are made of besides amounts.
_PARTS: Final = (
    bodies.Balance,
    bodies.Caps,
    own_bodies.ChargedPrice,
    own_bodies.ChargeLine,
    own_bodies.GiveUp,
    own_bodies.Isolation,
    own_bodies.LimitsLeft,
    own_bodies.Reason,
    own_bodies.Route,
    own_bodies.Timeouts,
)
_SIGNED: Final = "SignedAmount"
#: What the types of an answer leave open.
_CLOSER: Final[dict[tuple[str, str], JsonSchema]] = {
    ("DecideBody", "decision"): {"enum": ["ALLOW", "ALLOW_WITH_CAPS", "DENY"]},
    ("ReserveBody", "decision"): {"enum": ["ALLOW", "ALLOW_WITH_CAPS", "DENY"]},
    ("AdmitBody", "decision"): {"enum": ["ALLOW", "ALLOW_WITH_CAPS", "DENY"]},
    ("Reason", "numbers"): {"type": "object"},
    ("CommitBody", "status"): {"enum": ["COMMITTED"]},
    ("SettleBody", "status"): {"enum": ["COMMITTED", "BOOKED_LATE"]},
    ("GivenBackBody", "status"): {"enum": ["GIVEN_BACK"]},
    ("ReleaseBody", "status"): {"enum": ["RELEASED"]},
    ("ExtendBody", "status"): {"enum": ["ACTIVE"]},
    ("EventBody", "status"): {"enum": ["APPLIED"]},
    ("ReservationBody", "status"): {"enum": ["ACTIVE", "COMMITTED", "RELEASED", "EXPIRED"]},
    ("ReservationBody", "subject"): {"$ref": f"{_REF}Subject"},
    ("ReservationBody", "action"): {"$ref": f"{_REF}Action"},
    ("ReservationBody", "metadata"): {"type": "object"},
    ("ReservationBody", "committed_metadata"): {"type": "object"},
    ("Balance", "remaining"): {"$ref": f"{_REF}{_SIGNED}"},
    ("ErrorBody", "trace_id"): {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    ("ErrorBody", "details"): {"type": "object"},
}
_MODULE: Final = re.compile(r"[a-z_.]+\.")


def component_name(struct: type) -> str:
    """The name of the schema of `struct`."""
    return struct.__name__


def components() -> dict[str, JsonSchema]:
    """All schemas by name. Nothing in them may be null, and answers have no fields but these."""
    _, made = msgspec.json.schema_components([*_REQUESTS, *_ANSWERS], ref_template=f"{_REF}{{name}}")
    schemas: dict[str, JsonSchema] = {}
    for name, schema in made.items():
        # An amount is the same in requests, which come first and are the stricter, and in answers.
        schemas.setdefault(_short(name), _tidied(schema))
    schemas[_SIGNED] = schemas["Amount"] | {
        "title": _SIGNED,
        "description": "So many of a unit; below zero where there is debt.",
        "properties": schemas["Amount"]["properties"] | {"amount": {"type": "integer", "format": "int64"}},
    }
    for (name, field), schema in _CLOSER.items():
        schemas[name]["properties"][field] = schema
    for struct in (*_ANSWERS, *_PARTS):
        schemas[component_name(struct)]["additionalProperties"] = False
    subject = schemas["Subject"]
    subject["anyOf"] = [{"required": [level]} for level in ("tenant", *LEVELS)]
    subject["properties"]["dimensions"]["properties"] = {"run": subject["properties"]["agent"]}
    return schemas


def _short(name: str) -> str:
    return _MODULE.sub("", name)


def _tidied(node: Any) -> Any:
    """`node` in the dialect of JSON Schema, without the nulls that stand for left-out fields."""
    if isinstance(node, list):
        return [_tidied(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {name: _tidied(value) for name, value in node.items() if not (name == "default" and value is None)}
    if isinstance(pattern := kept.get("pattern"), str):
        kept["pattern"] = pattern.replace(r"\A", "^").replace(r"\Z", "$")
    if isinstance(reference := kept.get("$ref"), str):
        kept["$ref"] = _REF + _short(reference.removeprefix(_REF))
    if isinstance(choices := kept.pop("anyOf", None), list):
        left = [choice for choice in choices if choice != {"type": "null"}]
        kept |= left[0] if len(left) == 1 else {"anyOf": left}
    return kept
