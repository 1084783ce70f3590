"""Counting a worker's tasks, and the door at which the worker shows its metrics."""

import logging
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from celery.signals import task_postrun, task_prerun
from prometheus_client import CONTENT_TYPE_LATEST

from kernel.metrics import catalogue, process
from kernel.metrics.exposition import rendered
from kernel.metrics.http import may_read_metrics
from kernel.traces.port import Happened, SpanKind, listening, unix_ns

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

_logger = logging.getLogger(__name__)
_began: dict[str, float] = {}


def connect() -> None:
    """Count the tasks of this process and of those that it forks off. Safe to repeat."""
    task_prerun.connect(_note_begin, dispatch_uid="metrics.begin", weak=False)
    task_postrun.connect(_note_end, dispatch_uid="metrics.end", weak=False)


def answer(*, host: str, port: int) -> None:
    """Serve /metrics there, to whom `http` says; nowhere where the port is 0.

    A port that is taken costs a line in the log and nothing else.
    """
    if not port:
        return
    try:
        server = make_server(host, port, _application, handler_class=_Silent)
    except OSError as error:
        # Mostly another worker of this machine has it, and answers for this one too.
        _logger.info("This worker opens no door for metrics: port %d of %s: %s.", port, host, error.strerror)
        return
    threading.Thread(target=server.serve_forever, name="metrics-door", daemon=True).start()


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        return


def _application(environ: "WSGIEnvironment", start_response: "StartResponse") -> list[bytes]:
    if environ.get("PATH_INFO") != "/metrics" or not may_read_metrics(environ):
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b""]
    start_response("200 OK", [("Content-Type", CONTENT_TYPE_LATEST), ("Cache-Control", "no-store")])
    return [rendered()]


def _note_begin(task_id: str = "", **_: Any) -> None:
    _began[task_id] = time.perf_counter()


def _note_end(task_id: str = "", task: Any = None, state: str | None = None, kwargs: Any = None, **_: Any) -> None:
    began_s = _began.pop(task_id, None)
    name = str(getattr(task, "name", "unknown"))
    # A name that a message invents runs no task, so names are as many as there are tasks.
    process.current.tally.add(catalogue.TASKS, (name, (state or "unknown").lower()))
    if began_s is not None:
        process.current.tally.observe(catalogue.TASK_SECONDS, (name,), time.perf_counter() - began_s)
        if listening.sink is not None:
            listening.sink.add(_happened(name, began_s, kwargs or {}, state))
    process.ensure_flusher()


def _happened(name: str, began_s: float, kwargs: Mapping[str, Any], state: str | None) -> Happened:
    tenant = kwargs.get("tag")
    return Happened(
        name=name,
        kind=SpanKind.CONSUMER,
        began_unix_ns=unix_ns(int(began_s * 1e9)),
        ended_unix_ns=unix_ns(time.perf_counter_ns()),
        is_error=state == "FAILURE",
        attributes={"watermaster.task.state": state or ""}
        | ({"watermaster.tenant": tenant} if isinstance(tenant, str) else {}),
    )
