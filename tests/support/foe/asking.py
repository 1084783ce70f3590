"""Asking as somebody, and all that the answer says: status, headers, cookies, body, and what it cost the database."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import Any, Final
from urllib.parse import quote, quote_plus

import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from budgets.services import engine
from tests.support.foe.things import forms_of

#: Of this one answer and of nothing else: other ones each time, whatever is asked.
_OWN: Final = frozenset({"X-Request-Id", "X-Cycles-Trace-Id", "Content-Length", "Date", "Set-Cookie"})
_OWN_FIELDS: Final = frozenset({"request_id", "trace_id"})
_WIRE: Final = re.compile(r"(?:rsv|evt|dec|whsub|req|replay)_[0-9a-z_]+")
_FORM_TOKEN: Final = re.compile(r'(name="csrfmiddlewaretoken" value="|name="key" value=")[^"]*')
_NONCE: Final = re.compile(r"nonce[-=][\"']?[\w+/=-]+")
_CLOCK: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|\+00:00)?|\b\d\d:\d\d(?::\d\d)?\b")
#: No question to the database; a session notes once a minute that it was seen.
_FREE: Final = ("SAVEPOINT", "RELEASE", "ROLLBACK", "BEGIN", "COMMIT", "SET ", 'UPDATE "django_session"')
_COMMENT: Final = re.compile(r"^\s*--.*$", re.MULTILINE)
_LITERAL: Final = re.compile(r"'(?:[^']|'')*'(?:::\w+)?|\b\d+\b|\bt_[a-z2-7]{20}\b")
_BLANK: Final = "\N{HORIZONTAL ELLIPSIS}"


@dataclass(frozen=True, slots=True)
class Said:
    """What an answer tells whoever asked, with what they had sent blotted out, so that two answers can be compared."""

    status: int
    body: Any
    headers: tuple[tuple[str, str], ...]
    statements: tuple[str, ...]
    raw: str

    @property
    def told(self) -> tuple[int, Any, tuple[tuple[str, str], ...]]:
        """All but the work. Of a body that grants something only its shape: what is in it goes on living."""
        return self.status, self.body if self.status >= 300 else shape_of(self.body), self.headers


def ask(send: Callable[[], Any], *, sent: Iterable[str] = ()) -> Said:
    """What `send` is answered; the values in `sent` are blotted out."""
    with watched() as statements:
        answer = send()
        content = b"".join(answer.streaming_content) if getattr(answer, "streaming", False) else answer.content
    text = content.decode("utf-8", "replace")
    values = sorted({text for value in sent for form in forms_of(value) for text in _written(form)}, key=len)[::-1]
    headers = {
        name: _WIRE.sub(_BLANK, _blotted(value, values)) for name, value in answer.headers.items() if name not in _OWN
    }
    # A session is written down once a minute, whoever looks then.
    cookies = {f"cookie {name}": "" for name in answer.cookies if name != settings.SESSION_COOKIE_NAME}
    content_type = answer.headers.get("Content-Type", "")
    is_json = content_type.startswith("application/json") and text
    if content_type.startswith("application/pdf"):
        # When it was made stands in it, packed.
        text = ""
    return Said(
        status=answer.status_code,
        body=_plain(json.loads(_blotted(text, values))) if is_json else _page(_blotted(text, values)),
        headers=tuple(sorted((headers | cookies).items())),
        statements=tuple(statement for sql in statements if (statement := _statement(sql))),
        raw="\n".join([text, *(f"{name}: {value}" for name, value in answer.headers.items()), str(answer.cookies)]),
    )


@contextmanager
def watched() -> Iterator[Sequence[str]]:
    """The statements of this thread meanwhile: through Django, and on the connections of the hot path."""
    found: list[str] = []
    before = engine._ask

    def asked(*given: Any, **more: Any) -> Any:
        # Whose door, and which call; the rest are ids and values.
        found.append(f"{given[0]}: {given[1]}")
        return before(*given, **more)

    # Django keeps so many, and counts no further.
    connection.queries_log.clear()
    with pytest.MonkeyPatch.context() as patch, CaptureQueriesContext(connection) as queries:
        patch.setattr(engine, "_ask", asked)
        yield found
        found += [query["sql"] for query in queries.captured_queries]


def shape_of(node: Any) -> Any:
    """Names without values: which fields there are, and whether a list has anything in it."""
    if isinstance(node, Mapping):
        return {name: shape_of(value) for name, value in sorted(node.items())}
    if isinstance(node, list):
        return [shape_of(node[0])] if node else []
    return type(node).__name__ if isinstance(node, (bool, type(None))) else ""


def _plain(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {name: _plain(value) for name, value in node.items() if name not in _OWN_FIELDS}
    if isinstance(node, list):
        return [_plain(value) for value in node]
    return _WIRE.sub(_BLANK, _CLOCK.sub(_BLANK, node)) if isinstance(node, str) else node


def _page(text: str) -> str:
    text = _FORM_TOKEN.sub(rf"\1{_BLANK}", text)
    return _CLOCK.sub(_BLANK, _NONCE.sub("nonce", text))


def _blotted(text: str, values: Sequence[str]) -> str:
    for value in values:
        if len(value) > 2:
            text = text.replace(value, _BLANK)
    return text


def _written(value: str) -> set[str]:
    """As it is, as an address has it, and as a page has it."""
    quoted = {value, quote(value), quote(value, safe=""), quote_plus(value)}
    return quoted | {escape(text) for text in quoted}


def _statement(sql: str) -> str:
    return "" if sql.startswith(_FREE) else _LITERAL.sub("?", _COMMENT.sub("", sql))
