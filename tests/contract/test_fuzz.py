"""Requests made up from our own description of the runtime plane: none is answered in a way that it does not describe.

WATERMASTER_FUZZ_EXAMPLES makes it longer (default 20 an operation; a night takes thousands).
"""

import os
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import negative_data_rejection, positive_data_acceptance

from budgets.api.runtime.openapi import document
from kernel.money import AMOUNT_MAX, Unit
from tests.support.api_client import ApiClient
from tests.support.books import Books

EXAMPLES: Final = int(os.environ.get("WATERMASTER_FUZZ_EXAMPLES", "20"))

schema = schemathesis.openapi.from_dict(document())


@pytest.fixture(scope="module")
def live_ids(standing_api: ApiClient, standing_books: Books) -> list[str]:
    """Reservations for the operations that need one; some end on the way. Amounts are met by a budget in each unit."""
    for unit in (Unit.TOKENS, Unit.CREDITS, Unit.RISK_POINTS):
        standing_books.add_budget(allocated=AMOUNT_MAX, unit=unit)
    return [standing_api.reserved(1, ttl_ms=86_400_000) for _ in range(20)]


def make_likely(case: Case[Any], live_ids: list[str], slug: str) -> None:
    """Give a case that is meant to be valid an id and a tenant that are there: refusals alone would show little."""
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE:
        return
    if "reservation_id" in case.path_parameters:
        case.path_parameters["reservation_id"] = live_ids[len(str(case.body)) % len(live_ids)]
    for part in (case.query, case.body.get("subject") if isinstance(case.body, dict) else None):
        if isinstance(part, dict) and "tenant" in part:
            part["tenant"] = slug


def not_applicable(case: Case[Any]) -> list[Any]:
    """Whether a well-formed request is granted, the books say; blank and unknown filters are as good as none."""
    return [positive_data_acceptance, *([negative_data_rejection] if case.method == "GET" else [])]


@schema.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_answers_as_it_is_described(case: Any, api_url: str, standing_books: Books, live_ids: list[str]) -> None:
    make_likely(case, live_ids, standing_books.tenant.slug)

    case.call_and_validate(
        base_url=api_url,
        headers={"X-Cycles-API-Key": standing_books.key.token},
        timeout=10,
        excluded_checks=not_applicable(case),
    )
