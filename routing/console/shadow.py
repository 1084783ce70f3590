"""Shadow mode: what would have been denied, limits that the last periods recommend, and enforcing from a moment on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from django import forms
from django.core.validators import MaxValueValidator
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render

from accounts.console.pages import page
from accounts.console.place import place_of
from accounts.roles import Act
from budgets.console.wording import path_within_tenant, reason_words
from budgets.selectors.decision_counts import decision_counts
from budgets.selectors.policies import newest_policy
from budgets.selectors.recommended_limits import COMPARED, Recommendation, TooMuchToRead, recommended_limits
from budgets.selectors.shadow import HoldRatios, WouldDeny, hold_ratios, would_deny
from budgets.services.guards import TenantIsClosed
from budgets.services.policies import PolicyKind
from budgets.services.shadow import NotInShadow
from budgets.services.shadow_policy import ShadowPolicy, read_shadow_policy
from kernel.pages.bars import Tone
from kernel.pages.exports import csv_response
from kernel.tenancy import in_tenant
from routing.console.acts import ReasonForm, act_page, asked, done, saved_for_later, sent, wants_csv
from routing.services.rulesets import RulesBusy
from routing.services.shadow_end import end_shadow
from tenants.selectors.directory import TenantLine, directory_page

SPANS: Final[Mapping[str, timedelta]] = {
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
_DEFAULT_SPAN: Final = "7d"
_SPAN_WORDS: Final = {"24h": "24 h", "7d": "7 days", "30d": "30 days"}
#: The period that each budget has.
_OWN: Final = "own"
#: Each is asked in its own books.
_TENANTS_PER_PAGE: Final = 10


@dataclass(frozen=True, slots=True)
class ShadowState:
    """Whether anything is in shadow, as a chip and in words."""

    word: str
    tone: Tone
    words: str
    is_any: bool
    enforce_from: datetime | None


@dataclass(frozen=True, slots=True)
class WouldDenyRow:
    refused: WouldDeny
    scope: str
    reason: str


@dataclass(frozen=True, slots=True)
class ShadowRow:
    tenant: TenantLine
    state: ShadowState
    would_deny: int


class EnforceForm(ReasonForm):
    enforce_from = forms.DateTimeField(
        label="Enforce from",
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"],
        # Behind it there is no such moment in every zone.
        validators=[MaxValueValidator(datetime(9000, 1, 1, tzinfo=UTC), "This is too late: before the year 9000.")],
    )
    field_order = ["enforce_from", "reason"]


@page(Act.SEE_PLATFORM)
def ops_shadow(request: HttpRequest) -> HttpResponseBase:
    """Which tenants are in shadow, and how many of their calls would have been denied."""
    now = datetime.now(UTC)
    span = _span(request)
    search = asked(request, "q", length_max=100)
    tenants = directory_page(search=search, after=asked(request, "after"), limit=_TENANTS_PER_PAGE)
    context = {
        "section": "shadow",
        "place": place_of(request),
        "rows": [_shadow_row(line, since=now - SPANS[span], now=now) for line in tenants.tenants if line.has_books],
        "next_after": tenants.next_after,
        "search": search,
        **_span_context(span),
    }
    return render(request, "routing/ops_shadow.html", context)


@page(Act.SEE_LIMITS)
def shadow(request: HttpRequest, slug: str) -> HttpResponseBase:
    place = place_of(request)
    now = datetime.now(UTC)
    span = _span(request)
    with in_tenant(place.tenant.tag):
        state = _state(slug, now=now)
        rows = [_would_deny_row(each) for each in would_deny(since=now - SPANS[span], until=now)]
    if wants_csv(request):
        heads = ("scope", "reason_code", "reason", "calls", "first_at", "last_at")
        found = (
            (
                *(row.refused.scope_path, row.refused.reason_code, row.reason),
                *(row.refused.calls, row.refused.first_at, row.refused.last_at),
            )
            for row in rows
        )
        return csv_response(f"{slug}-would-deny", heads, found)
    context = _frame(request) | {
        "state": state,
        "rows": rows,
        "calls": sum(row.refused.calls for row in rows),
        **_span_context(span),
    }
    return render(request, "routing/shadow.html", context)


@page(Act.SEE_LIMITS)
def shadow_limits(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Recommended limits, and how well holds foretell charges: read from the ledger, for seconds at most."""
    place = place_of(request)
    now = datetime.now(UTC)
    wanted = asked(request, "period")
    period = next((each for each in COMPARED if each.value == wanted), None)
    problem = ""
    found: Sequence[Recommendation] = ()
    ratios: HoldRatios | None = None
    if is_read := period is not None or wanted == _OWN:
        with in_tenant(place.tenant.tag):
            try:
                found = recommended_limits(now=now, period=period)
            except TooMuchToRead:
                problem = "There is too much to read at once. Choose a shorter period."
            ratios = hold_ratios(since=now - SPANS[_DEFAULT_SPAN], until=now)
    if wants_csv(request):
        heads = (
            *("scope", "unit", "period", "granted", "used_1", "used_2", "used_3", "used_4", "used_now"),
            *("period_p99", "period_limit", "call_p99", "call_limit"),
        )
        rows = (
            (
                *(each.scope_path, each.unit, each.period, each.granted, *(use.used for use in each.periods)),
                each.now.used,
                *(number for limit in (each.a_period, each.a_call) for number in _limit_numbers(limit)),
            )
            for each in found
        )
        return csv_response(f"{slug}-recommended-limits", heads, rows)
    context = _frame(request) | {
        "found": [(each, path_within_tenant(each.scope_path)) for each in found],
        "ratios": [(each, path_within_tenant(each.scope_path)) for each in ratios.ratios] if ratios else [],
        "read_since": ratios.read_since if ratios else None,
        "is_read": is_read,
        "period": wanted if is_read else "",
        "periods": [(_OWN, "Each budget's own"), *((each.value, each.label) for each in COMPARED)],
        "problem": problem,
    }
    return render(request, "routing/shadow_limits.html", context)


@page(Act.EDIT_POLICIES, send=Act.EDIT_POLICIES)
def shadow_end(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Enforce from a moment on, in the tenant's time zone, or from the next decision on."""
    place = place_of(request)
    back = place.url("shadow")
    form = EnforceForm(sent(request))
    form.fields["enforce_from"].help_text = f"In {place.tenant.time_zone}. Left empty: from the next decision on."
    if request.method == "POST" and form.is_valid():
        moment: datetime | None = form.cleaned_data["enforce_from"]
        if moment is not None:
            moment = moment.replace(tzinfo=ZoneInfo(place.tenant.time_zone))
        reason = form.cleaned_data["reason"]
        try:
            end_shadow(tag=place.tenant.tag, moment=moment, reason=reason, actor=place.actor(reason))
            when = (
                "from the next decision on"
                if moment is None or moment <= datetime.now(UTC)
                else f"from {moment:%Y-%m-%d %H:%M %Z}"
            )
            return done(request, f"Everything is enforced {when}.", back)
        except NotInShadow:
            form.add_error(None, "Nothing was changed: nothing is in shadow mode, everything is enforced already.")
        except TenantIsClosed:
            form.add_error(None, "Nothing was changed: the tenant is closed.")
        except RulesBusy:
            return saved_for_later(request, back)
    return act_page(
        request,
        form,
        section="tenants",
        title="Enforce from…",
        words="What was only written down is refused from then on.",
        button="Enforce",
        back=back,
    )


def _shadow_row(line: TenantLine, *, since: datetime, now: datetime) -> ShadowRow:
    with in_tenant(line.tag):
        state = _state(line.slug, now=now)
        counted = sum(each.would_deny for each in decision_counts(since=since, until=now))
    return ShadowRow(line, state, counted)


def _state(slug: str, *, now: datetime) -> ShadowState:
    """Of the tenant whose schema the connection is in."""
    newest = newest_policy(PolicyKind.SHADOW)
    policy = read_shadow_policy({} if newest is None else newest.document, slug=slug)
    if not policy.is_any or policy.is_over(now):
        return ShadowState("Enforced", Tone.GOOD, "everything is enforced", False, None)
    until = policy.enforce_from if isinstance(policy.enforce_from, datetime) else None
    if policy.is_on:
        return ShadowState("In shadow", Tone.WARN, "nothing of the tenant is blocked", True, until)
    return ShadowState("In part", Tone.WARN, _parts(policy), True, until)


def _parts(policy: ShadowPolicy) -> str:
    parts = []
    if policy.checks:
        parts.append(f"checks: {', '.join(map(str, policy.checks))}")
    if policy.scopes:
        parts.append(f"scopes: {', '.join(map(path_within_tenant, policy.scopes))}")
    return "; ".join(parts)


def _would_deny_row(refused: WouldDeny) -> WouldDenyRow:
    return WouldDenyRow(refused, path_within_tenant(refused.scope_path), reason_words(refused.reason_code))


def _limit_numbers(limit: Any) -> tuple[object, object]:
    return ("", "") if limit is None else (limit.p99, limit.limit)


def _span(request: HttpRequest) -> str:
    within = asked(request, "within")
    return within if within in SPANS else _DEFAULT_SPAN


def _span_context(span: str) -> dict[str, object]:
    return {"within": span, "span": _SPAN_WORDS[span], "spans": list(_SPAN_WORDS.items())}


def _frame(request: HttpRequest) -> dict[str, object]:
    place = place_of(request)
    return {
        "section": "tenants" if place.is_ops else "limits",
        "tab": "limits",
        "place": place,
        "tenant": place.tenant,
        "time_zone": place.tenant.time_zone,
    }
