"""POST /v1/x-watermaster/tools and GET /v1/x-watermaster/isolation: what a runtime asks before it talks to a model."""

from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse
from msgspec import UnsetType

from budgets.api.own_requests import ToolsRequest
from budgets.api.parts import Subject, scope_suffixes
from budgets.api.runtime.asking import ask, respond
from budgets.api.runtime.caller import Caller, key_first, read_caller
from budgets.api.runtime.own_bodies import IsolationBody, ToolsBody
from budgets.services.isolation import isolation_of
from kernel.http.drf import ProtocolView, decode
from kernel.http.errors import invalid_request
from routing.services.tool_lists import NamelessTool, offer, tool_names


class ToolVerdicts(msgspec.Struct, kw_only=True):
    """What `read_tools_v1` says."""

    status: str
    slug: str = ""
    version: int | None = None
    verdicts: list[str] = []


class ToolsView(ProtocolView):
    """POST /v1/x-watermaster/tools: the tools that may be offered, the others silently absent."""

    def post(self, request: HttpRequest) -> HttpResponse:
        caller = read_caller(request)
        with key_first(caller):
            body = decode(request, ToolsRequest)
            try:
                names = tool_names(body.tools)
            except NamelessTool as error:
                field = f"tools[{error.args[0]}]"
                raise invalid_request(f"{field} names no tool. Send each schema with its name.", field=field) from None
        tenant = None if isinstance(body.subject.tenant, UnsetType) else body.subject.tenant
        found = _ask(caller, names, tenant=tenant, suffix=scope_suffixes(body.subject)[-1])
        choice = None if isinstance(body.tool_choice, UnsetType) else body.tool_choice
        allowed = offer(body.tools, found.verdicts, choice=choice)
        return respond(
            ToolsBody(
                tools=[dict(tool) for tool in allowed.tools],
                tool_choice=allowed.choice
                if allowed.choice is None or isinstance(allowed.choice, str)
                else dict(allowed.choice),
                gated=list(allowed.gated) or None,
                policy_version=found.version,
            ),
            found.slug,
        )


class IsolationView(ProtocolView):
    """GET /v1/x-watermaster/isolation?workspace=: names for caches and vectors that are nobody else's."""

    def get(self, request: HttpRequest) -> HttpResponse:
        caller = read_caller(request)
        with key_first(caller):
            workspace = request.GET.get("workspace", "")
            suffixes = [""]
            if workspace:
                try:
                    subject = msgspec.convert({"workspace": workspace}, Subject)
                except msgspec.ValidationError:
                    raise invalid_request(
                        "workspace must be 1 to 128 characters out of A-Z a-z 0-9 _ . -", field="workspace"
                    ) from None
                suffixes = scope_suffixes(subject)
        found = _ask(caller, [], tenant=None, suffix=suffixes[-1])
        own = isolation_of(caller.tag, suffixes=suffixes)
        return respond(
            IsolationBody(
                tenant=found.slug,
                cache_key_prefix=own.cache_key_prefix,
                vector_namespace=own.vector_namespace,
                credential_scopes=[own.credential_scope],
            ),
            found.slug,
        )


def _ask(caller: Caller, names: list[str], *, tenant: str | None, suffix: str) -> ToolVerdicts:
    question: dict[str, Any] = caller.credentials() | {"names": names, "suffix": suffix}
    if tenant is not None:
        question["tenant"] = tenant
    return ask(caller.tag, "tools", question, ToolVerdicts)
