"""What a line of the log belongs to: the request, its trace and its tenant. Each thread has its own."""

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from kernel.http.correlation import Correlation
from kernel.ids import Tag

#: Set by whoever takes a request or a task in, and overwritten by the next: a thread does one at a time.
correlation_now: ContextVar[Correlation | None] = ContextVar("correlation_now", default=None)
tenant_now: ContextVar[str] = ContextVar("tenant_now", default="")
task_now: ContextVar[str] = ContextVar("task_now", default="")


def begin_request(correlation: Correlation) -> None:
    """A request begins; whose it is is not known yet. A tenth of a microsecond."""
    correlation_now.set(correlation)
    tenant_now.set("")


def end_request() -> None:
    """What comes later on this thread is not part of the request."""
    correlation_now.set(None)
    tenant_now.set("")


@contextmanager
def in_task(name: str, *, tag: Tag | None = None) -> Iterator[None]:
    """What is written meanwhile belongs to this task, and to this tenant."""
    task, tenant = task_now.set(name), tenant_now.set(tag or "")
    try:
        yield
    finally:
        task_now.reset(task)
        tenant_now.reset(tenant)


def add_context(_logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """For structlog: what is known and not said in the line itself."""
    correlation = correlation_now.get()
    if correlation is not None:
        line.setdefault("request_id", correlation.request_id)
        line.setdefault("trace_id", correlation.trace_id)
    if tenant := tenant_now.get():
        line.setdefault("tenant", tenant)
    if task := task_now.get():
        line.setdefault("task", task)
    return line
