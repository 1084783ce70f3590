"""Requests for money as lists show them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from budgets.console.wording import path_within_tenant
from budgets.models.choices import RequestState
from budgets.selectors.requests import RequestLine
from kernel.pages.bars import Tone
from tenants.selectors.open_requests import OpenRequestLine

_STATES: Final = {
    RequestState.OPEN: ("Waiting", Tone.INFO),
    RequestState.GRANTED: ("Granted", Tone.GOOD),
    RequestState.DECLINED: ("Declined", Tone.CALM),
}


@dataclass(frozen=True, slots=True)
class RequestRow:
    request: RequestLine
    scope: str
    state: str
    tone: Tone
    is_open: bool


@dataclass(frozen=True, slots=True)
class OpenRequestRow:
    request: OpenRequestLine
    scope: str


def request_rows(requests: Sequence[RequestLine]) -> list[RequestRow]:
    return [
        RequestRow(one, path_within_tenant(one.scope_path), *_STATES[one.state], one.state == RequestState.OPEN)
        for one in requests
    ]


def open_rows(requests: Sequence[OpenRequestLine]) -> list[OpenRequestRow]:
    return [OpenRequestRow(one, path_within_tenant(one.scope_path)) for one in requests]
