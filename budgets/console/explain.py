"""`/explain/<id>/`: from the address in a denial to the page that explains it to this reader."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect

from accounts.console.gate import signed_in_user, to_sign_in
from accounts.selectors.memberships import member_role
from kernel.ids import parse_wire_id
from tenants.selectors.directory import tenant_by_tag


def explain(request: HttpRequest, wire_id: str) -> HttpResponse:
    """Leads to the decision's page on the reader's own side; a stranger finds nothing, whether it exists or not."""
    user = signed_in_user(request)
    if user is None:
        return to_sign_in(request)
    parsed = parse_wire_id("dec", wire_id)
    tenant = tenant_by_tag(parsed.tag) if parsed else None
    if tenant is None:
        raise Http404
    if user.is_operator:
        return redirect("ops_books:decision_detail", tenant.slug, wire_id)
    if member_role(user, tenant.tag) is None:
        raise Http404
    return redirect("own_books:decision_detail", tenant.slug, wire_id)
