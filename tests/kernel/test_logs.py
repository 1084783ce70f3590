"""The log: one object a line, what it belongs to, and never a secret."""

import io
import json
import logging
import logging.config
import time
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from accounts.keys.tokens import mint_key
from kernel.http.correlation import read_correlation
from kernel.ids import Tag
from kernel.logs.context import begin_request, end_request, in_task, tenant_now
from kernel.logs.redaction import REMOVED, redacted, redacted_fields
from kernel.logs.setup import logging_config

TAG = Tag("abcdefghij234567abcd")
#: Planted in every place that a line has.
KNOWN = "correct-horse-battery"
SECRETS = {
    "api key": mint_key(TAG).token,
    "its secret part": mint_key(TAG).token.split("_")[4],
    "webhook secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "provider's key": "sk-proj-abcdefghijklmnop1234567890",
    "vault token": "hvs.CAESIJ1234567890abcdef",
    "aws key": "AKIAIOSFODNN7EXAMPLE",
    "json web token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc_DEF-123",
    "private key": "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\n-----END PRIVATE KEY-----",
    "one of ours": KNOWN,
}


class Log:
    """What the program has written so far, through the whole set-up."""

    def __init__(self, *, log_format: str = "json") -> None:
        config = logging_config(log_format=log_format, level="DEBUG", known_secrets=[KNOWN], plane="api")
        self._written = io.StringIO()
        config["handlers"]["lines"]["stream"] = self._written
        # Only loggers below this one: the runner's own go on as they are.
        config["loggers"] = {"trial": {"handlers": ["lines"], "level": "DEBUG", "propagate": False}}
        config.pop("root")
        logging.config.dictConfig(config)
        self.plain = logging.getLogger("trial.plain")
        self.structured = structlog.get_logger("trial.structured")

    @property
    def text(self) -> str:
        return self._written.getvalue()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.fixture
def log() -> Iterator[Log]:
    end_request()
    yield Log()
    end_request()


class TestLine:
    def test_is_an_object_with_its_level_and_its_time(self, log: Log) -> None:
        log.plain.warning("Tenant %s could not be read.", TAG)

        (line,) = log.lines()
        assert line["event"] == f"Tenant {TAG} could not be read."
        assert (line["level"], line["logger"]) == ("warning", "trial.plain")
        assert line["timestamp"].endswith("Z")

    def test_belongs_to_its_request_and_its_tenant(self, log: Log) -> None:
        correlation = read_correlation({"HTTP_TRACEPARENT": f"00-{'a' * 32}-{'b' * 16}-01"})
        begin_request(correlation)
        tenant_now.set(TAG)

        log.plain.error("Something failed.")
        log.structured.info("decision", decision="dec_1")

        for line in log.lines():
            assert line["request_id"] == correlation.request_id
            assert line["trace_id"] == "a" * 32
            assert line["tenant"] == TAG
        assert log.lines()[1]["decision"] == "dec_1"

    def test_of_the_next_request_names_no_other_tenant(self, log: Log) -> None:
        begin_request(read_correlation({}))
        tenant_now.set(TAG)
        begin_request(read_correlation({}))

        log.plain.error("Something failed.")

        assert "tenant" not in log.lines()[0]

    def test_belongs_to_its_task(self, log: Log) -> None:
        with in_task("budgets.expire_tenant", tag=TAG):
            log.plain.warning("Cut off.")
        log.plain.warning("Later.")

        inside, outside = log.lines()
        assert (inside["task"], inside["tenant"]) == ("budgets.expire_tenant", TAG)
        assert "task" not in outside

    def test_is_one_line_whatever_is_in_it(self, log: Log) -> None:
        log.plain.error("a\nb\x1b[31m\u202e %s", "c\r\nd")

        assert len(log.text.splitlines()) == 1

    def test_can_be_read_at_a_terminal(self) -> None:
        log = Log(log_format="text")
        log.structured.warning("what happened", tenant=TAG, password="hunter22")

        assert log.text == f"WARNING trial.structured: what happened (tenant={TAG} password={REMOVED})\n"


class TestFailure:
    def test_says_what_kind_and_where_and_not_its_text(self, log: Log) -> None:
        try:
            try:
                raise KeyError("what a customer wrote")
            except KeyError as error:
                raise ValueError("and this") from error
        except ValueError:
            log.plain.exception("It failed")
            log.structured.exception("it failed")

        for line in log.lines():
            assert line["exception"].startswith("builtins.KeyError\n")
            assert "then builtins.ValueError\n" in line["exception"]
            assert "test_logs.py" in line["exception"]
        # The line of code is shown, so the text is looked for where the values would be.
        assert "KeyError: 'what" not in log.text
        assert "ValueError: and" not in log.text

    def test_of_a_task_is_named_by_its_kind(self, log: Log) -> None:
        failure = ValueError("what a customer wrote")
        arguments = {"name": "t", "id": "1", "description": "raised unexpected", "exc": repr(failure)}
        record = logging.LogRecord(
            "celery.app.trace",
            logging.ERROR,
            "",
            0,
            "Task %(name)s[%(id)s] %(description)s: %(exc)s",
            (arguments,),
            (ValueError, failure, None),
        )
        logging.getLogger("trial").handlers[0].handle(record)

        (line,) = log.lines()
        assert line["event"] == "Task t[1] raised unexpected: builtins.ValueError"
        assert "customer" not in log.text


class TestSecret:
    @pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS.keys())
    @pytest.mark.parametrize("log_format", ["json", "text"])
    def test_is_in_no_place_of_a_line(self, secret: str, log_format: str) -> None:
        log = Log(log_format=log_format)
        log.plain.error("said %s to us", secret)
        log.plain.error(f"said {secret}")
        log.structured.error(
            secret, note=f"x {secret} y", deep={"a": [{"b": secret}]}, body={secret: 1}, own=Odd(secret)
        )
        try:
            raise ValueError(f"no such key: {secret}")
        except ValueError:
            log.plain.exception("It failed")
            log.structured.exception("it failed", cause=secret)

        assert len(log.text.splitlines()) >= 5
        assert secret not in log.text
        # In JSON a line break is written otherwise.
        assert secret.replace("\n", "\\n") not in log.text

    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("postgresql://app:hunter22@db:5432/x", f"postgresql://app:{REMOVED}@db:5432/x"),
            ("redis://:hunter22@valkey:6379/0", f"redis://:{REMOVED}@valkey:6379/0"),
            ("Authorization: Bearer abcdef123456", f"Authorization: Bearer {REMOVED}"),
            ("got Bearer abcdef123456 there", f"got Bearer {REMOVED} there"),
            ('{"password": "hunter22", "a": 1}', f'{{"password": "{REMOVED}", "a": 1}}'),
            ("token=hunter22&a=1", f"token={REMOVED}&a=1"),
        ],
    )
    def test_goes_and_what_is_around_it_stays(self, text: str, shown: str) -> None:
        assert redacted(text) == shown

    @pytest.mark.parametrize(
        "text",
        [
            "Tenant abcdefghij234567abcd could not be asked: OperationalError 57014.",
            "dec_abcdefghij234567abcd_0190163d8694739da9c1f3b2a1c0d4e5_0123456789abcdef",
            "req_0190163d8694739da9c1f3b2a1c0d4e50190163d",
            "120 tokens were counted, 3 of them cached; the passage took 4 ms.",
            "a" * 64,
        ],
    )
    def test_is_not_seen_where_none_is(self, text: str) -> None:
        assert redacted(text) == text

    def test_is_told_by_its_name(self) -> None:
        fields = {"api_key": "x", "password": 5, "tokens_input": 7, "cookie": "", "headers": {"Authorization": "y"}}

        assert redacted_fields(fields) == {
            "api_key": REMOVED,
            "password": REMOVED,
            "tokens_input": 7,
            "cookie": "",
            "headers": {"Authorization": REMOVED},
        }


class Odd:
    """Something that no log expects, with a text of its own."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return f"Odd({self._text})"


@pytest.mark.parametrize("piece", ["a.", "eyJabcdefgh-", "eyJabcdefgh.", "xoxb-", "sk-", "basic ", "a://", "token: "])
def test_a_long_text_is_looked_at_once(piece: str) -> None:
    """What strangers send is written down now and then, as a Host header is: it must not keep a thread for seconds."""
    text = piece * (64_000 // len(piece))
    began = time.thread_time()

    redacted(text)

    # A hundred times what it takes; with the square of the length it was ten seconds.
    assert time.thread_time() - began < 1.5
