"""The base of every view of the management API: who calls, may they, and how a refusal looks."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, cast

from django.http import HttpRequest, HttpResponse
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import JSONParser
from rest_framework.permissions import BasePermission
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView, set_rollback

from accounts.keys.api.authentication import Caller, KeyAuthentication
from accounts.keys.api.rights import right_to
from kernel.actor import Actor
from kernel.http.correlation import correlation_of
from kernel.http.errors import ProtocolError, error_of_status
from kernel.http.responses import exception_response
from kernel.http.serialized import Fields, read_body, read_query


class HasRight(BasePermission):
    """By the table of rights, and by nothing else. It looks at the route and the key, never at whom the route names."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        method = request.method or ""
        if method.lower() not in view.http_method_names or not hasattr(view, method.lower()):
            raise MethodNotAllowed(method)
        match = request.resolver_match
        right = right_to(match.url_name or "", method) if match is not None else None
        caller = cast("Caller", request.user)
        needed = right and (right.platform if caller.is_platform else right.tenant)
        if right is None or needed is None or not caller.may(needed):
            raise error_of_status(403)
        if not caller.is_platform and not all(map(caller.may, right.also)):
            raise error_of_status(403)
        return True


class JsonOnly(DefaultContentNegotiation):
    """JSON whatever the header Accept asks for; the callers are programs."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return next(iter(renderers)), JSONRenderer.media_type


type Refusals = Mapping[type[Exception], Callable[[Any], ProtocolError]]


class KeyedView(APIView):
    """A view for callers with a key. `refusals` says how exceptions of the services are put to them."""

    authentication_classes = (KeyAuthentication,)
    permission_classes = (HasRight,)
    # For the description: bodies are read by `body`, more strictly than DRF would.
    parser_classes = (JSONParser,)
    renderer_classes = (JSONRenderer,)
    content_negotiation_class = JsonOnly
    http_method_names = ["get", "head", "post", "patch", "delete"]
    refusals: ClassVar[Refusals] = {}

    @property
    def caller(self) -> Caller:
        return cast("Caller", self.request.user)

    def actor(self, *, reason: str = "", on_behalf: bool = False) -> Actor:
        """Who the caller is to the audit trail; `on_behalf`: a platform key that acts in a tenant's place."""
        request = self.request._request
        correlation = correlation_of(request)
        actor_type = ("admin_on_behalf_of" if on_behalf else "admin") if self.caller.is_platform else "api_key"
        return Actor(
            name=self.caller.key.key_id,
            actor_type=actor_type,
            reason=reason,
            request_id=correlation.request_id,
            trace_id=correlation.trace_id,
            source_ip=request.META.get("REMOTE_ADDR") or "",
        )

    def body(self, fields: type[Fields]) -> dict[str, Any]:
        """The checked body. Refuses with 400, 411, 413 or 415."""
        return read_body(self.request._request, fields)

    def query(self, fields: type[Fields]) -> dict[str, Any]:
        """The checked query string. Refuses with 400."""
        return read_query(self.request._request.GET, fields)

    def get_exception_handler(self) -> Callable[[Exception, Mapping[str, Any]], HttpResponse]:
        return self._handle

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        final = super().finalize_response(request, response, *args, **kwargs)
        correlation = correlation_of(request._request)
        final.headers["X-Request-Id"] = correlation.request_id
        final.headers["X-Cycles-Trace-Id"] = correlation.trace_id
        final.headers["Cache-Control"] = "no-store"
        return final

    def _handle(self, exception: Exception, context: Mapping[str, Any]) -> HttpResponse:
        set_rollback()
        for kind, refusal in self.refusals.items():
            if isinstance(exception, kind):
                exception = refusal(exception)
                break
        response = exception_response(exception, self.request._request)
        if isinstance(exception, MethodNotAllowed):
            response.headers["Allow"] = ", ".join(self.allowed_methods)
        return response


class NothingHere(APIView):
    """Any address that leads nowhere, for every method and caller."""

    authentication_classes = ()
    permission_classes = ()
    parser_classes = ()
    schema = None

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = exception_response(error_of_status(404), request)
        response.headers["X-Request-Id"] = correlation_of(request).request_id
        return response


def answer(fields: type[Fields], value: Any, *, status: int = 200) -> Response:
    """`value` as the answer's fields."""
    return Response(fields(value).data, status=status)
