"""Putting a tenant's rules in force, whenever its plan, its policies or the prices have changed."""

import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

from django.db import DatabaseError

from budgets.selectors.granted import slug_and_time_zone
from budgets.services.guards import TenantIsClosed, require_not_closed
from budgets.services.journal import open_journal
from budgets.services.ruleset import current_document, publish
from kernel.actor import Actor
from kernel.ids import Tag
from kernel.tenancy import in_tenant
from routing.selectors.rule_sources import Own, Shared, read_own, read_shared
from routing.services.calibrations import input_factors
from routing.services.compiling import Sources, compile_ruleset
from tenants.selectors.tags import tenant_tags

#: How often somebody else may change the plan, the policies or the prices while they are being compiled.
_TRIES: Final = 8

_logger = logging.getLogger(__name__)


class RulesBusy(Exception):
    """What the rules are made of kept changing. The next change, or the next sweep, puts them in force."""


def publish_ruleset(*, tag: Tag, actor: Actor) -> bool:
    """Make the rules what plan, policies and prices say now; whether they were something else. Safe to repeat.

    Two at once end with the newest of both: the tenant's own part is compared again under the ledger head, and the
    shared part is read again after the rules are written. Not to be called in a transaction. Raises `RulesBusy`.
    """
    is_changed = False
    for _ in range(_TRIES):
        with in_tenant(tag):
            own = read_own()
        if own.is_nothing and not _has_rules(tag):
            return is_changed
        now = datetime.now(UTC)
        shared = read_shared(own, tag=tag, at=now)
        document = _compile(own, shared, tag=tag, at=now)
        with in_tenant(tag):
            is_in_force = document == current_document()
        # The same rules again are no new version, and take no lock. Whoever changes something now comes after us.
        if is_in_force:
            return is_changed
        if not _write(document, own, tag=tag, actor=actor):
            continue
        is_changed = True
        if read_shared(own, tag=tag, at=now) == shared:
            return is_changed
    raise RulesBusy(tag)


def publish_rulesets(tags: Iterable[Tag], *, actor: Actor) -> int:
    """Many tenants' rules, after something that concerns them all; how many were changed.

    One that fails does not hold up the others: it is left to the next sweep, and the log says so.
    """
    changed = 0
    for tag in tags:
        try:
            changed += publish_ruleset(tag=tag, actor=actor)
        except (RulesBusy, DatabaseError) as error:
            _logger.warning("The rules of tenant %s were not compiled: %s", tag, type(error).__name__)
    return changed


def publish_all(*, actor: Actor) -> int:
    """As `publish_rulesets`, for every tenant."""
    return publish_rulesets(tenant_tags(), actor=actor)


def _has_rules(tag: Tag) -> bool:
    with in_tenant(tag):
        return bool(current_document())


def _compile(own: Own, shared: Shared, *, tag: Tag, at: datetime) -> dict[str, Any]:
    with in_tenant(tag):
        slug, _ = slug_and_time_zone()
        learnt = input_factors()
    return compile_ruleset(
        Sources(
            slug=slug,
            plan=shared.plan,
            policies=own.policies,
            book=shared.book,
            catalogue=shared.catalogue,
            input_factors=learnt,
            at=at,
        )
    )


def _write(document: dict[str, Any], own: Own, *, tag: Tag, actor: Actor) -> bool:
    """Put it in force; False where the tenant's own part has changed since it was read."""
    with in_tenant(tag), open_journal(actor=actor) as journal:
        if read_own() != own:
            return False
        try:
            require_not_closed(journal)
        except TenantIsClosed:
            # Its rules stay as they were.
            return True
        publish(journal, document=document)
        return True
