"""What runtimes were seen to do: prompts, namespaces and cache keys in the spans of the last days, and credentials."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db import connection

from budgets.isolation.surface import Surface, judged
from budgets.services.isolation import isolation_of
from kernel.ids import Tag
from kernel.tenancy import in_tenant

#: How far back is looked.
DAYS: Final = 7
_NAMES_MAX: Final = 1_000
_COUNTS: Final = """
    SELECT
        count(*),
        count(*) FILTER (WHERE tenant <> %(slug)s),
        count(*) FILTER (WHERE prompt_source_tenant <> tenant),
        count(*) FILTER (WHERE namespace_tenant <> tenant),
        count(*) FILTER (WHERE kind = 'inference' AND prompt_source_tenant IS NULL AND is_counted IS NOT FALSE),
        count(*) FILTER (WHERE kind = 'retrieval' AND namespace_tenant IS NULL)
    FROM span WHERE started_at >= %(since)s
"""
_DISTINCT: Final = "SELECT DISTINCT {name} FROM span WHERE {name} <> '' AND started_at >= %(since)s LIMIT %(most)s"


def traffic_surfaces(tenants: Sequence[tuple[Tag, str]], *, now: datetime) -> list[Surface]:
    """`tenants` are tags with slugs. Two short queries in each tenant's schema, of the last `DAYS` days."""
    since = now - timedelta(days=DAYS)
    wrong: defaultdict[str, list[str]] = defaultdict(list)
    silent: defaultdict[str, list[str]] = defaultdict(list)
    holders: dict[str, defaultdict[str, set[str]]] = {"namespace": defaultdict(set), "cache_key": defaultdict(set)}
    spans = 0
    for tag, slug in tenants:
        with in_tenant(tag), connection.cursor() as cursor:
            cursor.execute(_COUNTS, {"slug": slug, "since": since})
            total, foreign, prompts, namespaces, unsaid, unnamed = cursor.fetchone()
            for name, found in holders.items():
                cursor.execute(_DISTINCT.format(name=name), {"since": since, "most": _NAMES_MAX})
                for (value,) in cursor.fetchall():
                    found[value].add(slug)
        spans += total
        for surface, count in (("tenant", foreign), ("prompt", prompts), ("namespace", namespaces)):
            if count:
                wrong[surface].append(f"{slug}: {count} spans")
        for surface, count in (("prompt", unsaid), ("namespace", unnamed)):
            if count:
                silent[surface].append(f"{slug}: {count} spans do not say")
    for name, found in holders.items():
        shared = (f"{value[:60]} in {', '.join(sorted(who))}" for value, who in found.items() if len(who) > 1)
        wrong[name].extend(shared)
    prefixes = {slug: isolation_of(tag).cache_key_prefix for tag, slug in tenants}
    silent["cache_key"].extend(_naked(holders["cache_key"], prefixes))
    seen = f"{spans} spans of {DAYS} days, {len(tenants)} tenants"
    return [
        judged("spans: each is its tenant's own", seen, leaks=wrong["tenant"]),
        judged("prompts: from the tenant's own data", seen, leaks=wrong["prompt"], riddles=silent["prompt"]),
        judged("vector namespaces: the tenant's own", seen, leaks=wrong["namespace"], riddles=silent["namespace"]),
        judged("cache keys: the tenant is in the key", seen, leaks=wrong["cache_key"], riddles=silent["cache_key"]),
    ]


def _naked(keys: dict[str, set[str]], prefixes: dict[str, str]) -> Iterator[str]:
    """Keys of a cache that do not begin as the tenant's own do: another tenant might make the same one."""
    for key, who in keys.items():
        for slug in who:
            if not key.startswith(prefixes[slug]):
                yield f"{key[:60]} of {slug}"
