import json
from pathlib import Path

import msgspec
import pytest
import yaml
from runcycles.models import ErrorResponse

from kernel.http.errors import (
    STATUS_OF,
    ErrorCode,
    ProtocolError,
    error_of_status,
    invalid_request,
    render_error,
    unavailable,
)

CONTRACT = Path(__file__).parents[3] / "shared" / "protocol" / "cycles-protocol-v0.yaml"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
HTTPX = "python-httpx/0.28.1"


def body_of(error: ProtocolError, *, user_agent: str = "curl/8") -> dict[str, object]:
    rendered = render_error(error, request_id="req_1", trace_id=TRACE, user_agent=user_agent)
    decoded = json.loads(rendered)
    assert isinstance(decoded, dict)
    return decoded


class TestErrorCode:
    def test_every_code_has_a_status(self) -> None:
        assert set(STATUS_OF) == set(ErrorCode)

    @pytest.mark.skipif(not CONTRACT.exists(), reason="the contract is not beside the project")
    def test_the_list_is_the_contracts(self) -> None:
        contract = yaml.load(CONTRACT.read_text(), Loader=yaml.CSafeLoader)

        assert [*ErrorCode] == contract["components"]["schemas"]["ErrorCode"]["enum"]


class TestRenderError:
    def test_says_what_why_and_where(self) -> None:
        error = ProtocolError(ErrorCode.BUDGET_EXCEEDED, "No room.")

        assert error.status == 409
        assert body_of(error) == {
            "error": "BUDGET_EXCEEDED",
            "message": "No room.",
            "request_id": "req_1",
            "trace_id": TRACE,
        }

    def test_details_and_trace_id_go_together_for_most_clients(self) -> None:
        body = body_of(invalid_request("Mend it.", field="subject.agent"))

        assert body["details"] == {"field": "subject.agent"}
        assert body["trace_id"] == TRACE

    def test_leaves_the_trace_id_out_for_a_client_that_could_not_read_it(self) -> None:
        with_details = invalid_request("Mend it.", field="subject.agent")
        without = invalid_request("Mend it.")

        assert "trace_id" not in body_of(with_details, user_agent=HTTPX)
        assert body_of(with_details, user_agent=HTTPX)["details"] == {"field": "subject.agent"}
        assert "trace_id" not in body_of(without, user_agent=HTTPX)

    def test_the_published_client_reads_the_details(self) -> None:
        error = invalid_request("Mend it.", field="subject.agent")
        rendered = render_error(error, request_id="r", trace_id=TRACE, user_agent=HTTPX)

        assert ErrorResponse.model_validate_json(rendered).details == {"field": "subject.agent"}

    def test_holds_no_null(self) -> None:
        error = ProtocolError(ErrorCode.NOT_FOUND, "Nothing here.", details={})

        assert b"null" not in msgspec.json.encode(body_of(error))


class TestErrorOfStatus:
    @pytest.mark.parametrize("code", [c for c in ErrorCode if STATUS_OF[c] in {400, 401, 403, 404}])
    def test_gives_a_code_of_that_status(self, code: ErrorCode) -> None:
        assert STATUS_OF[ErrorCode(error_of_status(STATUS_OF[code]).code)] == STATUS_OF[code]

    @pytest.mark.parametrize(
        ("status", "code"),
        [
            (405, ErrorCode.INVALID_REQUEST),
            (413, ErrorCode.INVALID_REQUEST),
            (415, ErrorCode.INVALID_REQUEST),
            (418, ErrorCode.INVALID_REQUEST),
            (429, ErrorCode.LIMIT_EXCEEDED),
            (499, ErrorCode.INVALID_REQUEST),
            (500, ErrorCode.INTERNAL_ERROR),
            (502, ErrorCode.INTERNAL_ERROR),
            (503, ErrorCode.INTERNAL_ERROR),
        ],
    )
    def test_keeps_the_status_and_borrows_a_code(self, status: int, code: ErrorCode) -> None:
        error = error_of_status(status)

        assert (error.status, error.code) == (status, code)

    def test_an_outage_is_503_with_a_time_to_wait(self) -> None:
        error = unavailable("The database does not answer.", retry_after_s=2)

        assert (error.status, error.code, error.retry_after_s) == (503, "INTERNAL_ERROR", 2)
