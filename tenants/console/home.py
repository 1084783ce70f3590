"""`/`: to where the reader belongs."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from accounts.console.gate import signed_in_user, to_sign_in
from accounts.selectors.memberships import memberships_of
from tenants.selectors.directory import tenant_by_tag


def home(request: HttpRequest) -> HttpResponse:
    """Operators to the overview, members to their tenant; to a choice where there are several."""
    user = signed_in_user(request)
    if user is None:
        return to_sign_in(request)
    if user.is_operator:
        return redirect("ops:overview")
    found = [tenant_by_tag(line.tag) for line in memberships_of(user)]
    tenants = [tenant for tenant in found if tenant and tenant.has_books]
    if not tenants:
        raise Http404
    if len(tenants) == 1:
        return redirect("own_books:overview", tenants[0].slug)
    return render(request, "tenants/home.html", {"tenants": tenants})
