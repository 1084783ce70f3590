"""Reading invoices and session logs."""

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from routing.observed.invoice import read_invoice
from routing.observed.reading import SourceRefused
from routing.observed.session_log import read_session_logs


def line(message_id: str = "msg_1", *, output: int = 20, model: str = "claude-sonnet-4-5-20250929", **more: Any) -> str:
    """As a coding agent writes an answer's block down."""
    entry = {
        "parentUuid": "p",
        "isSidechain": False,
        "sessionId": "s",
        "type": "assistant",
        "uuid": "u",
        "timestamp": "2026-11-20T12:00:00.000Z",
        "requestId": f"req_{message_id}",
        "message": {
            "id": message_id,
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [{"type": "text", "text": "hello"}],
            "usage": {
                "input_tokens": 4,
                "cache_creation_input_tokens": 100,
                "cache_read_input_tokens": 1_000,
                "output_tokens": output,
                "service_tier": "standard",
            },
        },
    }
    return json.dumps(entry | more)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "session.jsonl"


class TestSessionLog:
    def test_counts_a_message_once_as_its_last_line_says(self, log: Path) -> None:
        log.write_text("\n".join([line(output=1), line(output=1), line(output=20), line("msg_2")]))

        read = read_session_logs(log)

        assert read.repeated == 2
        first, second = (each.call for each in read.unpriced)
        assert first.references == ("msg_1", "req_msg_1")
        assert (first.tokens_input, first.tokens_output) == (1_104, 20)
        assert (first.model, first.provider) == ("claude-sonnet-4-5-20250929", "anthropic")
        assert first.at == datetime(2026, 11, 20, 12, tzinfo=UTC)
        assert second.references[0] == "msg_2"

    @pytest.mark.parametrize(
        "other",
        [
            '{"type": "user", "message": {"role": "user", "content": "hi"}}',
            '{"type": "summary", "summary": "x", "leafUuid": "u"}',
            '{"type": "system", "content": "x"}',
            "[]",
            "7",
            "",
            line(model="<synthetic>"),
        ],
    )
    def test_passes_over_what_is_no_answer(self, log: Path, other: str) -> None:
        log.write_text(f"{line()}\n{other}\n")

        read = read_session_logs(log)

        assert (len(read.unpriced), read.unread) == (1, [])

    @pytest.mark.parametrize(
        "bad",
        [line()[:-20], line(timestamp=None), line(timestamp="yesterday"), line(output=-1), "\x00", '{"type": "assist'],
    )
    def test_names_the_lines_that_it_cannot_read(self, log: Path, bad: str) -> None:
        log.write_text(f"{line('msg_0')}\n{bad}\n")

        assert read_session_logs(log).unread == ["session.jsonl:2"]

    def test_reads_all_files_below_a_folder(self, tmp_path: Path) -> None:
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            # A session that was resumed repeats what came before.
            (tmp_path / name / "s.jsonl").write_text(f"{line()}\n{line(f'msg_{name}')}\n")

        assert len(read_session_logs(tmp_path).unpriced) == 3

    def test_leaves_out_what_was_at_another_time(self, log: Path) -> None:
        log.write_text(line())
        noon = datetime(2026, 11, 20, 12, tzinfo=UTC)

        assert len(read_session_logs(log, since=noon).unpriced) == 1
        assert len(read_session_logs(log, until=noon).unpriced) == 0

    def test_refuses_what_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(SourceRefused, match="no session log"):
            read_session_logs(tmp_path / "nowhere.jsonl")


class TestInvoice:
    def read(self, tmp_path: Path, text: str) -> Any:
        path = tmp_path / "invoice.csv"
        path.write_text(text)
        return read_invoice(path, provider="openai")

    def test_reads_calls_with_their_ids(self, tmp_path: Path) -> None:
        read = self.read(
            tmp_path,
            "timestamp,response_id,model,input_tokens,output_tokens,cost_usd\n"
            '2026-11-20T12:00:00Z,resp_1,gpt-4o,"1,000",200,0.0045\n',
        )

        (call,) = read.calls
        assert call.at == datetime(2026, 11, 20, 12, tzinfo=UTC)
        assert (call.references, call.provider, call.day) == (("resp_1",), "openai", None)
        assert (call.tokens_input, call.tokens_output, call.cost) == (1_000, 200, 450_000)

    def test_reads_days_of_a_model(self, tmp_path: Path) -> None:
        read = self.read(tmp_path, "Date,Model,Requests,Amount,Currency\n2026-11-20,GPT-4o,12,$3.50,usd\n")

        (call,) = read.calls
        assert (call.day, call.at, call.calls, call.model, call.cost) == (
            date(2026, 11, 20),
            None,
            12,
            "gpt-4o",
            350_000_000,
        )

    def test_adds_up_an_input_that_is_split(self, tmp_path: Path) -> None:
        read = self.read(
            tmp_path,
            "usage_date_utc,model_version,usage_input_tokens_no_cache,usage_input_tokens_cache_read,usage_output_tokens\n"
            "2026-11-20,claude-sonnet-4-5,5,7,9\n",
        )

        assert (read.calls[0].tokens_input, read.calls[0].tokens_output) == (12, 9)

    @pytest.mark.parametrize("bad", ["nonsense", "-1", "1.5", "NaN", "1e400", "99999999999999999999"])
    def test_names_the_lines_that_it_cannot_read(self, tmp_path: Path, bad: str) -> None:
        read = self.read(tmp_path, f"date,model,input_tokens\n2026-11-20,a,1\n2026-11-20,b,{bad}\n")

        assert ([each.model for each in read.calls], read.unread) == (["a"], ["line 3"])

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("", "no column date"),
            ("day,cost\n", "no column model"),
            ("date,model\n", "nothing can be compared"),
            ("date,model,cost,currency\n2026-11-20,a,1,EUR\n", "only amounts in USD"),
        ],
    )
    def test_refuses_what_cannot_be_compared(self, tmp_path: Path, text: str, why: str) -> None:
        with pytest.raises(SourceRefused, match=why):
            self.read(tmp_path, text)

    def test_refuses_what_is_no_text(self, tmp_path: Path) -> None:
        (tmp_path / "invoice.csv").write_bytes(b"\xff\xfe\x00")

        with pytest.raises(SourceRefused, match="cannot be read"):
            read_invoice(tmp_path / "invoice.csv")
