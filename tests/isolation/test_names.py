"""The names of what is kept outside: the server and its clients make the same ones."""

import json
from pathlib import Path

import pytest

from budgets.services.isolation import IsolationKeys, Kept, isolation_of, name_of
from kernel.ids import mint_tag

VECTORS = Path(__file__).resolve().parents[2] / "clients" / "isolation-vectors.json"


def test_are_those_of_the_shared_examples() -> None:
    examples = json.loads(VECTORS.read_text())

    made = [
        name_of(IsolationKeys(**each["isolation"], credential_scope=""), Kept(each["kept"]), each["parts"])
        for each in examples
    ]

    assert {each["kept"] for each in examples} == set(Kept)
    assert made == [each["name"] for each in examples]


@pytest.mark.parametrize("kept", Kept)
def test_of_tenants_and_workspaces_differ(kept: Kept) -> None:
    tag = mint_tag()
    owns = [
        isolation_of(tag),
        isolation_of(tag, suffixes=["", "/workspace:a"]),
        isolation_of(tag, suffixes=["", "/workspace:b"]),
        isolation_of(mint_tag()),
    ]

    assert len({name_of(own, kept, ["answers"]) for own in owns}) == len(owns)


def test_of_cache_entries_begin_as_the_tenants_do() -> None:
    own = isolation_of(mint_tag())

    assert name_of(own, Kept.CACHE, ["answers"]).startswith(own.cache_key_prefix)
    assert name_of(own, Kept.VECTORS, []) == own.vector_namespace
