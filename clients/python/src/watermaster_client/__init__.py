"""The client of Watermaster: ask before a model or tool call, and book what it cost."""

from watermaster_client.act import Outcome, Question
from watermaster_client.aio import AsyncAct, AsyncWatermaster
from watermaster_client.client import Act, Watermaster
from watermaster_client.errors import ApiError, Denied, Failure, Unavailable, WatermasterError
from watermaster_client.isolation import (
    CacheKey,
    ConversationId,
    NoTenant,
    SessionKey,
    TenantCache,
    TenantNames,
    VectorNamespace,
)
from watermaster_client.outbox import Outbox
from watermaster_client.transport import Retry
from watermaster_client.wire import (
    Action,
    Admission,
    Amount,
    Attempt,
    Caps,
    ClassHint,
    Reason,
    Request,
    Route,
    Run,
    Settlement,
    Subject,
    ToolList,
)

__all__ = [
    "Act",
    "Action",
    "Admission",
    "Amount",
    "ApiError",
    "AsyncAct",
    "AsyncWatermaster",
    "Attempt",
    "CacheKey",
    "Caps",
    "ClassHint",
    "ConversationId",
    "Denied",
    "Failure",
    "NoTenant",
    "Outbox",
    "Outcome",
    "Question",
    "Reason",
    "Request",
    "Retry",
    "Route",
    "Run",
    "SessionKey",
    "Settlement",
    "Subject",
    "TenantCache",
    "TenantNames",
    "ToolList",
    "Unavailable",
    "VectorNamespace",
    "Watermaster",
    "WatermasterError",
]
