"""The base of every view that is about one tenant: whose books, and which part of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.db.models import Q

from accounts.keys.api.views import KeyedView
from accounts.keys.selectors.keys import verified_key
from budgets.api.management.refusals import REFUSALS, conflict, scope_forbidden
from budgets.models import Budget
from budgets.scopes import ScopePath
from budgets.services.guards import books_held
from budgets.services.journal import BudgetNotFound
from kernel.actor import Actor
from kernel.http.errors import error_of_status
from kernel.tenancy import in_tenant
from tenants.selectors.directory import TenantLine, tenant_by_slug, tenant_by_tag


class TenantView(KeyedView):
    """A tenant's own key finds its own tenant; every other slug is as unknown to it as one that does not exist."""

    refusals = REFUSALS

    def tenant(self, slug: str) -> TenantLine:
        """The tenant, even while it is being made. Refuses with 404."""
        caller = self.caller
        # A tenant's key asks the same query whatever the slug, so not even the time it takes tells about others.
        tenant = tenant_by_slug(slug) if caller.is_platform else tenant_by_tag(caller.tag)
        if tenant is None or tenant.slug != slug:
            raise error_of_status(404)
        return tenant

    def tenant_with_books(self, slug: str) -> TenantLine:
        """The tenant, made to the end. Refuses with 404 or 409."""
        tenant = self.tenant(slug)
        if not tenant.has_books:
            raise conflict("The tenant was not made to the end. Create it again, with the same details.")
        return tenant

    @contextmanager
    def reading(self, slug: str) -> Iterator[TenantLine]:
        """Run a block in the tenant's schema."""
        tenant = self.tenant_with_books(slug)
        with in_tenant(tenant.tag):
            yield tenant

    @contextmanager
    def writing(self, slug: str, *, reason: str = "") -> Iterator[Actor]:
        """Run a block in the tenant's schema, in one transaction that holds the ledger head.

        The tenant's key is checked again under that lock: once its revocation has returned, nothing is written with it.
        """
        tenant = self.tenant_with_books(slug)
        with in_tenant(tenant.tag), books_held():
            if not self.caller.is_platform and verified_key(self.caller.parsed) is None:
                raise error_of_status(401)
            yield self.actor(reason=reason, on_behalf=True)

    def require_scope(self, scope: ScopePath) -> None:
        """Refuses with 403 what lies outside the scopes that the key is confined to."""
        if not scope.is_within(self.caller.key.scope_filter):
            raise scope_forbidden()

    def require_whole_tenant(self) -> None:
        """Refuses with 403 a key that is confined to some scopes."""
        if self.caller.key.scope_filter:
            raise scope_forbidden()

    def budget_in_reach(self, budget_id: UUID) -> Budget:
        """The budget, unless the key is confined to other scopes: then it is as unknown as one that does not exist."""
        budget = Budget.objects.filter(self.within("scope_path"), pk=budget_id).first()
        if budget is None:
            raise BudgetNotFound(str(budget_id))
        return budget

    def within(self, column: str) -> Q:
        """The rows whose scope path, in `column`, lies within the scopes that the key is confined to."""
        condition = Q()
        for scope in self.caller.key.scope_filter:
            condition |= Q(**{column: scope}) | Q(**{f"{column}__startswith": f"{scope}/"})
        return condition
