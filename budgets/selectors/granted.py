"""The money that plans give, as it stands in the books of the tenant whose schema the connection is in."""

from collections.abc import Iterable

from django.db.models import Q

from budgets.models import Budget, LedgerHead, RunTemplate


def slug_and_time_zone() -> tuple[str, str]:
    """The tenant's own, from its ledger head."""
    head = LedgerHead.objects.get(pk=1)
    return head.slug, head.time_zone


def budgets_at(scopes: Iterable[str]) -> list[Budget]:
    """The budgets of these scope paths and of the tenant's own, in order; runs' budgets are none of them."""
    rows = Budget.objects.filter(Q(scope_path__in=set(scopes)) | Q(depth=1), run_id=None)
    return list(rows.order_by("depth", "scope_path", "unit"))


def run_templates() -> list[RunTemplate]:
    return list(RunTemplate.objects.order_by("name"))
