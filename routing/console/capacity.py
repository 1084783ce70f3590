"""`/ops/capacity/`: what the providers let the platform use, what is used of it, and by whom."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from django import forms
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse

from accounts.console.pages import page
from accounts.console.place import place_of
from accounts.roles import Act
from kernel.pages.bars import Bar, budget_bar
from kernel.pages.exports import csv_response
from routing.console.acts import ReasonForm, act_page, asked, done, sent, typed_again, wants_csv
from routing.selectors.pool_use import PoolUse, pool_uses
from routing.services.pools import InvalidPool, Pool, list_pools, set_pool
from tenants.selectors.directory import TenantLine, tenants_by_tag

_TENANTS_SHOWN: Final = 20
_LIMIT_MAX: Final = 10**15


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolRow:
    """`use` is None while the counters are away, bars None where there is no limit."""

    pool: Pool
    use: PoolUse | None
    requests_bar: Bar | None
    tokens_bar: Bar | None
    tenants: tuple[tuple[TenantLine | None, int, int, int], ...]
    more: int


class PoolForm(ReasonForm):
    name = forms.CharField(label="Deployment", max_length=256, help_text="provider:model, or provider:model@deployment")
    requests_per_minute = forms.IntegerField(
        label="Requests a minute", min_value=0, max_value=_LIMIT_MAX, help_text="0 for no limit."
    )
    tokens_per_minute = forms.IntegerField(
        label="Tokens a minute", min_value=0, max_value=_LIMIT_MAX, help_text="0 for no limit."
    )
    health = forms.ChoiceField(
        label="Health",
        choices=[("healthy", "Healthy: calls are sent to it"), ("unhealthy", "Unhealthy: nothing is sent to it")],
    )
    seen = forms.CharField(widget=forms.HiddenInput, required=False, max_length=100)
    field_order = ["name", "requests_per_minute", "tokens_per_minute", "health", "reason"]


@page(Act.SEE_PLATFORM)
def capacity(request: HttpRequest) -> HttpResponseBase:
    search, health = asked(request, "q", length_max=100).lower(), asked(request, "health")
    found = [pool for pool in list_pools() if search in pool.name]
    if health in {"healthy", "unhealthy"}:
        found = [pool for pool in found if pool.is_healthy == (health == "healthy")]
    uses = pool_uses(pool.name for pool in found)
    if wants_csv(request):
        heads = ("deployment", "requests_per_minute", "tokens_per_minute", "is_healthy", "requests_now", "tokens_now")
        rows = (
            (
                *(pool.name, pool.requests_per_minute, pool.tokens_per_minute, pool.is_healthy),
                *((uses[pool.name].requests, uses[pool.name].tokens) if uses else ("", "")),
            )
            for pool in found
        )
        return csv_response("capacity", heads, rows)
    tags = {tenant.tag for use in (uses or {}).values() for tenant in use.tenants[:_TENANTS_SHOWN]}
    lines = tenants_by_tag(tags)
    context = {
        "section": "capacity",
        "place": place_of(request),
        "now": datetime.now(UTC),
        "rows": [_row(pool, uses[pool.name] if uses else None, lines) for pool in found],
        "is_away": uses is None,
        "search": search,
        "health": health,
        "is_filtered": bool(search or health),
    }
    return render(request, "routing/capacity.html", context)


@page(Act.EDIT_CAPACITY, send=Act.EDIT_CAPACITY)
def pool_set(request: HttpRequest) -> HttpResponseBase:
    """Make a pool, or change the one that the address names."""
    name = asked(request, "name").lower()
    known = next((pool for pool in list_pools() if pool.name == name), None)
    form = PoolForm(sent(request), initial=_initial(known, name))
    back = reverse("ops:capacity")
    if request.method == "POST" and form.is_valid():
        values = form.cleaned_data
        there = next((pool for pool in list_pools() if pool.name == values["name"].lower()), None)
        if values["seen"] != _seen(there):
            words = (
                "Nothing was set: somebody has set this deployment since you looked. What is in force now:"
                f" {_words(there)}. Press the button again to set what you typed."
            )
            form = typed_again(PoolForm, request, words, seen=_seen(there))
        elif answer := _set(request, form, back):
            return answer
    return act_page(
        request,
        form,
        section="capacity",
        title=f"Set the capacity of {known.name}" if known else "Set a deployment's capacity",
        words="In force for all processes within 2 seconds. Tenants share it by the weights of their plans.",
        button="Set the capacity",
        back=back,
    )


def _set(request: HttpRequest, form: PoolForm, back: str) -> HttpResponseBase | None:
    values = form.cleaned_data
    try:
        pool = set_pool(
            name=values["name"],
            requests_per_minute=values["requests_per_minute"],
            tokens_per_minute=values["tokens_per_minute"],
            is_healthy=values["health"] == "healthy",
            actor=place_of(request).actor(values["reason"]),
            now=datetime.now(UTC),
        )
    except InvalidPool as refusal:
        form.add_error("name", str(refusal))
        return None
    return done(request, f"{pool.name}: {_words(pool)}.", back)


def _row(pool: Pool, use: PoolUse | None, lines: dict[str, TenantLine]) -> PoolRow:
    tenants = use.tenants if use else ()
    return PoolRow(
        pool=pool,
        use=use,
        requests_bar=_bar(pool.requests_per_minute, use.requests if use else 0),
        tokens_bar=_bar(pool.tokens_per_minute, use.tokens if use else 0),
        tenants=tuple(
            (lines.get(tenant.tag), tenant.weight, tenant.requests, tenant.tokens)
            for tenant in tenants[:_TENANTS_SHOWN]
        ),
        more=max(len(tenants) - _TENANTS_SHOWN, 0),
    )


def _bar(limit: int, used: int) -> Bar | None:
    return budget_bar(allocated=limit, used=used, held=0) if limit else None


def _initial(pool: Pool | None, name: str) -> dict[str, Any]:
    if pool is None:
        return {"name": name, "requests_per_minute": 0, "tokens_per_minute": 0, "seen": ""}
    return {
        "name": pool.name,
        "requests_per_minute": pool.requests_per_minute,
        "tokens_per_minute": pool.tokens_per_minute,
        "health": "healthy" if pool.is_healthy else "unhealthy",
        "seen": _seen(pool),
    }


def _seen(pool: Pool | None) -> str:
    return "" if pool is None else f"{pool.requests_per_minute}-{pool.tokens_per_minute}-{pool.is_healthy}"


def _words(pool: Pool | None) -> str:
    if pool is None:
        return "no limit"
    requests = f"{pool.requests_per_minute:,}" if pool.requests_per_minute else "any"
    tokens = f"{pool.tokens_per_minute:,}" if pool.tokens_per_minute else "any"
    health = "" if pool.is_healthy else ", unhealthy"
    return f"{requests} requests and {tokens} tokens a minute{health}"
