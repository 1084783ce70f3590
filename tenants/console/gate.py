"""The gate before the pages of operators and of tenants.

Deny by default, and by address, not by view: a view that names no act, an address that leads nowhere and a tenant that
is not the reader's are one and the same 404. Whoever is signed out is led to the sign-in from all of them alike.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.http.request import split_domain_port
from django.shortcuts import redirect
from django.utils.cache import patch_cache_control

from accounts.console.gate import signed_in_user
from accounts.console.impersonation import impersonation_of
from accounts.console.pages import acts_of
from accounts.console.place import Place, set_place
from accounts.console.reauth import to_sign_in_keeping_form
from accounts.console.second_factor import lacks_second_factor, to_second_factor
from accounts.roles import IMPERSONATOR_MAY, MEMBER_MAY, OPERATOR_MAY, OperatorRole
from accounts.selectors.memberships import member_role
from kernel.http.network_address import network_address
from kernel.logs.context import tenant_now
from tenants.selectors.directory import TenantLine, tenant_by_slug
from tenants.selectors.domains import slug_of_host

if TYPE_CHECKING:
    from accounts.models import User

_OPS: Final = "/ops/"
_TENANTS: Final = "/t/"
_EXPLAIN: Final = "/explain/"


class ConsoleGate:
    """Finds the reader's place (`accounts.console.place`) before any guarded view runs."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        path = request.path_info
        if own := _own_slug(request):
            if path == "/":
                return redirect(f"{_TENANTS}{own}/")
            if is_guarded(path) and not path.startswith(f"{_TENANTS}{own}/"):
                raise Http404
        if not is_guarded(path):
            response = self.get_response(request)
            if path == "/" or path.startswith(_EXPLAIN):
                # They say where the reader belongs.
                patch_cache_control(response, private=True, no_store=True)
            return response
        user = signed_in_user(request)
        response = self.get_response(request) if user else to_sign_in_keeping_form(request)
        patch_cache_control(response, private=True, no_store=True)
        return response

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> HttpResponse | None:
        if not is_guarded(request.path_info):
            return None
        user = signed_in_user(request)
        place = _place(request, user, kwargs.get("slug")) if user else None
        acts = acts_of(view)
        if place is None or acts is None:
            raise Http404
        if place.is_ops and place.lacks_second_factor and settings.OPERATOR_SECOND_FACTOR_IS_REQUIRED:
            return to_second_factor(request)
        set_place(request, place)
        tenant_now.set(place.tenant.tag if place.tenant else "")
        act = acts.of(request.method)
        # Without an act for this method the view answers 405 by itself.
        if act is not None and act not in place.may:
            raise PermissionDenied
        return None


def is_guarded(path: str) -> bool:
    return path in {"/ops", "/t"} or path.startswith((_OPS, _TENANTS))


def _place(request: HttpRequest, user: "User", slug: str | None) -> Place | None:
    """Where this person stands at this address, None for a stranger to it."""
    namespace = request.resolver_match.namespace if request.resolver_match else ""
    tenant = _tenant(slug)
    if namespace in {"ops", "ops_books"}:
        if not user.is_operator or user.operator_role is None or (namespace == "ops_books" and tenant is None):
            return None
        return Place(
            user=user,
            role=user.operator_role,
            may=OPERATOR_MAY[OperatorRole(user.operator_role)],
            is_ops=True,
            namespace="ops_books",
            tenant=tenant,
            lacks_second_factor=lacks_second_factor(request, user),
            network_address=network_address(request),
        )
    if tenant is None:
        return None
    role = member_role(user, tenant.tag)
    impersonation = impersonation_of(request) if role is None else None
    if role is None and (impersonation is None or impersonation.tag != tenant.tag):
        return None
    return Place(
        user=user,
        role=role or "read-only",
        may=MEMBER_MAY[role] if role else IMPERSONATOR_MAY,
        is_ops=False,
        namespace="own_books",
        tenant=tenant,
        impersonation=impersonation,
        network_address=network_address(request),
    )


def _tenant(slug: str | None) -> TenantLine | None:
    """The tenant, once it has books to show."""
    tenant = tenant_by_slug(slug) if slug and "\0" not in slug else None
    return tenant if tenant and tenant.has_books else None


def _own_slug(request: HttpRequest) -> str | None:
    """Whose own domain was asked, None on the platform's host."""
    host = split_domain_port(request.get_host())[0]
    if host in {"127.0.0.1", "localhost", "[::1]", "testserver", urlsplit(settings.CONSOLE_URL).hostname}:
        return None
    return slug_of_host(host)
