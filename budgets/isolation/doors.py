"""The doors: pages, tasks and caches of the running program."""

import inspect
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, pairwise
from typing import Final

import redis
from celery import current_app
from django.conf import settings
from django.core.cache import caches
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils.module_loading import autodiscover_modules

from accounts.console.pages import acts_of
from budgets.isolation.surface import Surface, judged
from budgets.services.isolation import Kept, isolation_of, name_of
from kernel.ids import Tag, parse_tag
from kernel.tasks import TenantTask
from kernel.tenancy import in_tenant
from kernel.valkey import shared_valkey

_GUARDED: Final = ("ops/", "t/")
_PLANE: Final = "console"
#: Keys of Valkey that are looked at.
_KEYS_MAX: Final = 100_000
#: How the names begin of what belongs to nobody: the broker's own, entries of the cache that are asked for outside of
#: every tenant, the use of a provider's account by all, what all decisions of a minute took together.
_SHARED_KEYS: Final = ("celery:", "wm:public:", "pool:{", "metrics:recent:")
_ENTRY: Final = ("the same name",)


def door_surfaces(tags: Sequence[Tag]) -> list[Surface]:
    return [_pages(), _tasks(), _cache(tags), _valkey(tags), _names(tags)]


def _pages() -> Surface:
    """Every page below /ops/ and /t/ names the act that seeing it is; the gate closes the others to everybody."""
    views = list(_views(get_resolver(settings.URLCONFS[_PLANE]).url_patterns, ""))
    silent = [route for route, acts in views if acts is None]
    return judged("pages: each names who may", f"{len(views)} addresses", leaks=[], riddles=silent)


def _views(patterns: Sequence[URLPattern | URLResolver], before: str) -> Iterator[tuple[str, object]]:
    for pattern in patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _views(pattern.url_patterns, route)
        elif route.startswith(_GUARDED):
            yield route, acts_of(pattern.callback)


def _tasks() -> Surface:
    """A task that takes a tenant is opened in that tenant's schema by its base, and by nothing else."""
    # As a worker does when it starts.
    autodiscover_modules("tasks")
    own = {name: task for name, task in current_app.tasks.items() if not name.startswith("celery.")}
    loose = [
        name
        for name, task in own.items()
        if not isinstance(task, TenantTask) and {"tag", "tenant"} & inspect.signature(task.run).parameters.keys()
    ]
    of_tenants = sum(isinstance(task, TenantTask) for task in own.values())
    seen = f"{len(own)} tasks, {of_tenants} of them for one tenant"
    return judged("tasks: each opens its own tenant", seen, leaks=loose, riddles=[] if own else ["no task is known"])


def _cache(tags: Sequence[Tag]) -> Surface:
    """The same name in two tenants is two entries."""
    leaks: list[str] = []
    for alias in settings.CACHES:
        keys: dict[str, Tag] = {}
        for tag in tags:
            with in_tenant(tag):
                key = caches[alias].make_key(_ENTRY[0])
            if key in keys:
                leaks.append(f"cache {alias}: one key for two tenants")
                break
            keys[key] = tag
    return judged("cache: the tenant is in the key", f"{len(settings.CACHES)} caches, {len(tags)} tenants", leaks=leaks)


def _valkey(tags: Sequence[Tag]) -> Surface:
    """Every key that is there carries the tag of a tenant, or is one of those that belong to nobody."""
    try:
        keys = [raw.decode("utf-8", "replace") for raw in islice(shared_valkey().scan_iter(count=1_000), _KEYS_MAX)]
    except redis.RedisError as error:
        return judged("Valkey: the tenant is in the key", "nothing", leaks=[], riddles=[type(error).__name__])
    strange = [key[:80] for key in strange_keys(keys, tags)]
    return judged("Valkey: the tenant is in the key", f"{len(keys)} keys", leaks=[], riddles=strange)


def strange_keys(keys: Iterable[str], tags: Iterable[Tag]) -> Iterator[str]:
    """Those that neither name one of the tenants nor are known to belong to nobody."""
    known = set(tags)
    for key in keys:
        if not key.startswith(_SHARED_KEYS) and not any(parse_tag(part) in known for part in re.split(r"[:{}_]", key)):
            yield key


def _names(tags: Sequence[Tag]) -> Surface:
    """The names that runtimes are given for caches, vectors and credentials: no two tenants have one in common."""
    leaks: list[str] = []
    for what in ("cache_key_prefix", "vector_namespace", "credential_scope"):
        names = [getattr(isolation_of(tag), what) for tag in tags]
        if len(set(names)) != len(names):
            leaks.append(f"{what} of two tenants is the same")
        # A name that begins with another's would let a search by prefix find both.
        if any(second.startswith(first) for first, second in pairwise(sorted(names))):
            leaks.append(f"{what}: one begins with another")
    for kept in Kept:
        if len({name_of(isolation_of(tag), kept, _ENTRY) for tag in tags}) != len(tags):
            leaks.append(f"{kept}: two tenants make the same name of the same parts")
    return judged("names for what is kept outside", f"seven names of {len(tags)} tenants", leaks=leaks)
