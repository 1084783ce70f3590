"""Decisions as spans of the caller's trace, made by the metrics' thread."""

from budgets.services.noted import Noted
from kernel.ids import mint_wire_id
from kernel.traces.port import Happened, SpanKind, listening, unix_ns


def trace_decision(noted: Noted) -> None:
    """One span from the arrival in the tenant's line to the books' answer, where anybody listens."""
    sink = listening.sink
    if sink is None:
        return
    correlation, operation, answer = noted.correlation, noted.operation, noted.answer
    attributes = {
        "watermaster.tenant": noted.tag,
        "watermaster.operation": noted.meaning.operation,
        "watermaster.result": noted.meaning.result,
        "watermaster.reason": noted.meaning.reason,
        "watermaster.request_id": operation.request_id or "",
    }
    if answer is not None:
        attributes["watermaster.decision"] = mint_wire_id("dec", noted.tag, answer.id)
    sink.add(
        Happened(
            name=f"decide {noted.meaning.operation}",
            kind=SpanKind.SERVER,
            began_unix_ns=unix_ns(noted.began_ns),
            ended_unix_ns=unix_ns(noted.ended_ns),
            trace_id=operation.trace_id or "",
            parent_id=correlation.parent_id if correlation else "",
            is_sampled=correlation is None or correlation.is_sampled,
            is_error=answer is None,
            attributes=attributes,
        )
    )
