"""The description of the management API: valid, complete, served; and nothing that follows it breaks the server."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
import schemathesis
import yaml
from django.test import Client
from hypothesis import HealthCheck, Phase, given, settings
from openapi_spec_validator import validate
from schemathesis import GenerationMode

from accounts.keys.api.rights import RIGHTS
from config.wsgi_console import application
from tenants.models import Tenant
from tests.support.books import Books
from tests.support.management import platform_key


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    response = Client().get("/api/v1/schema/", headers={"Accept": "application/json"})
    assert response.status_code == 200
    described: dict[str, Any] = yaml.safe_load(response.content)
    return described


def operations(schema: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


class TestSchema:
    def test_is_valid_openapi(self, schema: dict[str, Any]) -> None:
        validate(schema)

    def test_has_every_operation_of_the_table_of_rights(self, schema: dict[str, Any]) -> None:
        assert len(list(operations(schema))) == len(RIGHTS)
        names = [operation["operationId"] for *_, operation in operations(schema)]
        assert len(set(names)) == len(RIGHTS)

    def test_describes_every_refusal(self, schema: dict[str, Any]) -> None:
        for path, method, operation in operations(schema):
            responses = operation["responses"]
            wanted = {"400", "401", "403", "503"} | ({"404"} if "{slug}" in path else set())
            assert wanted <= set(responses), (method, path)
            for status, response in responses.items():
                assert response["description"], (method, path, status)
                if int(status) >= 400:
                    content = response["content"]["application/json"]["schema"]
                    assert content == {"$ref": "#/components/schemas/ErrorFields"}

    def test_gives_every_amount_its_unit(self, schema: dict[str, Any]) -> None:
        amount = schema["components"]["schemas"]["AmountFields"]

        assert set(amount["required"]) == {"unit", "amount"}
        assert amount["properties"]["amount"]["type"] == "integer"

    def test_names_both_kinds_of_keys(self, schema: dict[str, Any]) -> None:
        assert set(schema["components"]["securitySchemes"]) == {"TenantKey", "PlatformKey", "Bearer"}


class TestDocs:
    def test_page_runs_nothing_inline(self) -> None:
        response = Client().get("/api/v1/docs/")

        page = response.content.decode()
        assert response.status_code == 200
        assert "<style" not in page
        assert "style=" not in page
        assert all("src=" in tag for tag in page.split("<script")[1:])
        assert "http://" not in page
        assert "https://" not in page

    def test_script_leads_to_the_schema(self) -> None:
        response = Client().get("/api/v1/docs/?script=")

        assert response.status_code == 200
        assert "/api/v1/schema/" in response.content.decode()

    @pytest.mark.parametrize("name", ["swagger-ui.css", "swagger-ui-bundle.js", "swagger-ui-standalone-preset.js"])
    def test_files_come_from_here(self, name: str) -> None:
        response = Client().get(f"/static/drf_spectacular_sidecar/swagger-ui-dist/{name}")

        assert response.status_code == 200


class TestFuzz:
    """What a machine makes of the description, sent to the API: never a 5xx, always the protocol's error."""

    @pytest.mark.parametrize(
        "examples",
        [
            pytest.param(3, marks=pytest.mark.slow(15)),
            pytest.param(12, marks=[pytest.mark.full, pytest.mark.slow(50)]),
        ],
    )
    def test_no_input_breaks_the_server(self, acme: Tenant, initech: Tenant, examples: int) -> None:
        books = Books(acme)
        budget_id = books.add_budget(allocated=100)
        books.ask("reserve", amount=1)
        token = platform_key().token
        # Loopback stays loopback: the requests go straight into the WSGI application.
        described = schemathesis.openapi.from_wsgi("/api/v1/schema/", application)
        seen: set[int] = set()
        # A closed tenant would refuse all the rest; a platform switch would stay for other tests.
        chosen = described.exclude(
            operation_id=["close_tenant", "suspend_tenant", "create_tenant", "throw_platform_switch"]
        )

        for result, mode in product(chosen.get_all_operations(), GenerationMode):
            operation = result.ok()

            @settings(
                max_examples=examples,
                deadline=None,
                database=None,
                phases=[Phase.explicit, Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy(generation_mode=mode))
            def send(case: Any) -> None:
                if case.path_parameters:
                    known = {"slug": "acme", "budget_id": str(budget_id), "seq": 2}
                    case.path_parameters |= {name: known[name] for name in case.path_parameters.keys() & known.keys()}
                # The description of the keys makes it invent some.
                case.headers = {"X-Admin-API-Key": token}
                response = case.call()
                seen.add(response.status_code)
                assert response.status_code < 500, (case.method, case.path, response.text)
                if response.status_code >= 400:
                    assert response.json()["error"], case.path

            send()

        assert {200, 400} <= seen
