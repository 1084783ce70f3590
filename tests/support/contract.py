"""The protocol's own contract, read from beside the project, as a judge of answers.

It lies in the folder that WATERMASTER_SHARED names (default: `shared` next to the project) and is never copied in here.
"""

import os
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

SHARED: Final = Path(os.environ.get("WATERMASTER_SHARED") or Path(__file__).resolve().parents[2].parent / "shared")
CONTRACT_FILE: Final = SHARED / "protocol" / "cycles-protocol-v0.yaml"
IS_AT_HAND: Final = CONTRACT_FILE.is_file()
WHY_NOT: Final = "The protocol's contract is not at hand; WATERMASTER_SHARED names the folder that has it."

_URI: Final = "urn:contract"
_INT64_MAX: Final = 2**63 - 1


class Violation(AssertionError):
    """An answer that the contract does not allow."""


@dataclass(slots=True)
class Contract:
    """Says which schema an answer must fit, and whether it does."""

    document: dict[str, Any]
    _registry: Registry[Any] = field(init=False)
    _routes: list[tuple[re.Pattern[str], str]] = field(init=False)

    def __post_init__(self) -> None:
        resource = Resource.from_contents(self.document, default_specification=DRAFT202012)
        self._registry = Registry().with_resource(_URI, resource)
        self._routes = [
            (re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), path)
            # The longer address first: a parameter must not swallow a word.
            for path in sorted(self.document["paths"], key=lambda path: path.count("{"))
        ]

    @property
    def error_codes(self) -> list[str]:
        codes: list[str] = self.document["components"]["schemas"]["ErrorCode"]["enum"]
        return codes

    def operation(self, method: str, path: str) -> dict[str, Any] | None:
        """The operation at this address, or None where the contract knows none."""
        for shape, template in self._routes:
            if shape.fullmatch(path):
                operation: dict[str, Any] | None = self.document["paths"][template].get(method.lower())
                return operation
        return None

    def check_body(self, method: str, path: str, status: int, body: object) -> None:
        """Raises `Violation` where `body` is not what the contract says of this status of this operation.

        A status of 400 and above that the operation does not list must still be an ErrorResponse.
        """
        operation = self.operation(method, path)
        answer = None if operation is None else operation["responses"].get(str(status))
        if status >= 400:
            schema = f"{_URI}#/components/schemas/ErrorResponse"
        elif answer is None:
            raise Violation(f"{method} {path} answered {status}, which the contract does not know.")
        else:
            schema = _URI + answer["content"]["application/json"]["schema"]["$ref"]
        errors = list(self._validator(schema).iter_errors(body))
        if errors:
            raise Violation(f"{method} {path} {status}: {errors[0].json_path} {errors[0].message}")

    def _validator(self, schema: str) -> Draft202012Validator:
        return Draft202012Validator({"$ref": schema}, registry=self._registry)


@cache
def contract() -> Contract:
    """The contract. Ask `IS_AT_HAND` first."""
    return Contract(yaml.load(CONTRACT_FILE.read_text(), Loader=yaml.CSafeLoader))


#: What callers keep with a reservation is theirs and comes back as it was sent.
_FREE: Final = {"metadata", "committed_metadata"}


def first_null(node: object, path: str = "$") -> str | None:
    """Where under `node` a null of ours stands."""
    if node is None:
        return path
    children: list[tuple[str, object]] = []
    if isinstance(node, dict):
        children = [(f"{path}.{key}", value) for key, value in node.items() if key not in _FREE]
    elif isinstance(node, list):
        children = [(f"{path}[{index}]", value) for index, value in enumerate(node)]
    return next((found for where, value in children if (found := first_null(value, where))), None)


def check_balance(balance: dict[str, Any]) -> None:
    """The contract's LEDGER INVARIANT and UNIT CONSISTENCY, which no schema can say."""
    amounts = {name: value for name, value in balance.items() if isinstance(value, dict)}
    if len({amount["unit"] for amount in amounts.values()}) != 1:
        raise Violation(f"Mixed units: {balance}")
    number = {name: amount["amount"] for name, amount in amounts.items()}
    expected = number["allocated"] - number["spent"] - number["reserved"] - number.get("debt", 0)
    if number["remaining"] != expected:
        raise Violation(f"remaining is not allocated - spent - reserved - debt: {balance}")
    if any(abs(value) > _INT64_MAX for value in number.values()):
        raise Violation(f"An amount is no int64: {balance}")
    if balance["scope"] != balance["scope_path"].rpartition("/")[2]:
        raise Violation(f"scope is not the last segment of scope_path: {balance}")
    left_out = {"debt", "overdraft_limit", "is_over_limit"}
    if any(name in balance and not (number.get(name) or balance[name] is True) for name in left_out):
        raise Violation(f"Zero and false are left out: {balance}")
