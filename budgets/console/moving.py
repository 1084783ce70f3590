"""`budgets/move/`: money from one budget to its sibling, what that would lead to, and back again for ten minutes."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from accounts.console.pages import page
from accounts.console.place import place_of
from accounts.roles import Act
from budgets.console.money_forms import MoveForm, new_key
from budgets.console.refusals import MONEY_REFUSALS, refusal_text
from budgets.console.siblings import Siblings, after, choice_of, group_of, read_choice, sibling_groups
from budgets.console.trees import tree_of_now
from budgets.services.payloads import PayloadDiffers
from budgets.services.reallocation import LimitChanged, reallocate, undo_reallocation
from kernel.money import Unit
from kernel.pages.amounts import exact_amount_text
from kernel.pages.typed_amounts import NotAnAmount, read_amount
from kernel.tenancy import in_tenant

UNDO_WITHIN: Final = timedelta(minutes=10)
#: Money moves between budgets that the form can name.
CHOICES_MAX: Final = 500


@page(Act.MOVE_MONEY, send=Act.MOVE_MONEY)
def budget_move(request: HttpRequest, slug: str) -> HttpResponse:
    """The form. Sent with `preview`, it says what the move would lead to, and nothing happens."""
    place = place_of(request)
    if request.method != "POST":
        with in_tenant(place.tenant.tag):
            groups = _groups()
        groups, chosen = _narrowed(groups, request.GET)
        form = MoveForm(groups=groups, initial=chosen | {"key": new_key()})
        return _page(request, form, _line_of(groups, chosen))
    with in_tenant(place.tenant.tag):
        groups = _groups()
        form = MoveForm(request.POST, groups=_as_chosen(groups, request.POST))
        is_valid = form.is_valid()
        if "preview" in request.POST:
            return _page(request, form, _line_of(groups, request.POST), is_preview=True)
        if is_valid and form.group and form.pair:
            giver, receiver = form.pair
            try:
                moved = reallocate(
                    giver_id=giver.id,
                    receiver_id=receiver.id,
                    unit=Unit(form.group.unit),
                    amount=form.cleaned_data["amount"],
                    idempotency_key=form.cleaned_data["key"],
                    actor=place.actor(form.cleaned_data["reason"]),
                    seen_allocated=form.seen,
                )
                return redirect(f"{place.url('budget_list')}?moved={moved.seq}")
            except MONEY_REFUSALS as refusal:
                # What is free is other than this form said; the answer says it as it is now.
                groups = _groups()
                unit = form.group.unit
                form = _as_of_now(form, groups, has_new_key=isinstance(refusal, PayloadDiffers))
                form.add_error(None, refusal_text(refusal, unit=unit))
                if isinstance(refusal, LimitChanged):
                    form.add_error(None, "Look at the numbers as they are now, and send it again if it is still right.")
    return _page(request, form, _line_of(groups, form.data), status=422)


@page(Act.MOVE_MONEY)
def budget_move_line(request: HttpRequest, slug: str) -> HttpResponse:
    """What the move that is being typed would lead to: the live line below the form."""
    with in_tenant(place_of(request).tenant.tag):
        groups = _groups()
    context = {"line": _line_of(groups, request.GET), "move": _button(groups, request.GET), "is_line": True}
    return render(request, "budgets/budget_move.html#line", context)


@page(send=Act.MOVE_MONEY)
def budget_move_undo(request: HttpRequest, slug: str, seq: int) -> HttpResponse:
    place = place_of(request)
    with in_tenant(place.tenant.tag):
        try:
            back = undo_reallocation(seq=seq, actor=place.actor("Undone in the console"), within=UNDO_WITHIN)
        except MONEY_REFUSALS as refusal:
            messages.error(request, f"Nothing was moved back. {refusal_text(refusal)}")
        else:
            messages.success(request, f"Undone: {exact_amount_text(back.amount, back.unit)} went back.")
    return redirect(place.url("budget_list"))


def _page(
    request: HttpRequest, form: MoveForm, line: Mapping[str, Any], *, status: int = 200, is_preview: bool = False
) -> HttpResponse:
    place = place_of(request)
    context = {
        "section": "budgets" if not place.is_ops else "tenants",
        "place": place,
        "tenant": place.tenant,
        "time_zone": place.tenant.time_zone,
        "form": form,
        "line": line,
        "move": _button(form.groups, form.data or form.initial),
        "is_preview": is_preview,
        "back": place.url("budget_list"),
        "line_url": reverse(f"{place.namespace}:budget_move_line", args=[place.tenant.slug]),
    }
    return render(request, "budgets/budget_move.html", context, status=status)


def _groups() -> list[Siblings]:
    tree, _ = tree_of_now(datetime.now(UTC), limit=CHOICES_MAX)
    return sibling_groups(tree.lines)


def _narrowed(groups: list[Siblings], asked: Mapping[str, Any]) -> tuple[list[Siblings], dict[str, str]]:
    """The one group that `from` or `into` names, and what is chosen in it to begin with; else all groups."""
    giver_id, receiver_id = ((read_choice(asked.get(name, "")) or (None, None))[0] for name in ("from", "into"))
    group = group_of(groups, giver_id or receiver_id)
    is_named = group is not None
    group = group or next(iter(groups), None)
    if group is None:
        return groups, {}
    richest = sorted(group.lines, key=lambda line: -line.remaining)
    giver = next((line for line in group.lines if line.id == giver_id), None)
    receiver = next((line for line in group.lines if line.id == receiver_id and line != giver), None)
    giver = giver or next(line for line in richest if line != receiver)
    receiver = receiver or next(line for line in reversed(richest) if line != giver)
    chosen = {"giver": choice_of(giver), "receiver": choice_of(receiver)}
    typed = {name: str(asked.get(name, ""))[:256] for name in ("amount", "reason")}
    return [group] if is_named else groups, chosen | typed


def _as_chosen(groups: list[Siblings], sent: Mapping[str, Any]) -> list[Siblings]:
    """The group of both budgets that were chosen; all groups where there is no such one, so that another is chosen."""
    giver, receiver = (
        group_of(groups, (read_choice(sent.get(name, "")) or (None, None))[0]) for name in ("giver", "receiver")
    )
    return [giver] if giver is not None and giver == receiver else groups


def _as_of_now(form: MoveForm, groups: list[Siblings], *, has_new_key: bool) -> MoveForm:
    """The form with what was typed, and with the limits that hold now in its choices."""
    data = dict(form.data.items())
    for name in ("giver", "receiver"):
        chosen = read_choice(data.get(name, ""))
        lines = (line for group in groups for line in group.lines if chosen and line.id == chosen[0])
        data[name] = next((choice_of(line) for line in lines), "")
    if has_new_key:
        data["key"] = new_key()
    fresh = MoveForm(data, groups=_as_chosen(groups, data))
    fresh.is_valid()
    return fresh


def _line_of(groups: list[Siblings], typed: Mapping[str, Any]) -> dict[str, Any]:
    """The sentence on what would come of it, or why nothing would; empty until enough is typed."""
    giver_id, receiver_id = ((read_choice(typed.get(name, "")) or (None, None))[0] for name in ("giver", "receiver"))
    group = group_of(groups, giver_id)
    if group is None or not typed.get("amount", "").strip():
        return {}
    giver = next((line for line in group.lines if line.id == giver_id), None)
    receiver = next((line for line in group.lines if line.id == receiver_id), None)
    if giver is None or receiver is None or giver == receiver:
        return {"text": "Choose two budgets that stand side by side, in one unit.", "is_bad": True}
    try:
        amount = read_amount(typed["amount"], group.unit)
    except NotAnAmount as refusal:
        return {"text": f"The amount must be {refusal}.", "is_bad": True}
    found = after(group, giver, receiver, amount)
    if found.giver_free < 0:
        free = exact_amount_text(max(giver.remaining, 0), group.unit)
        return {"text": f"Not possible: {found.giver} has {free} free.", "is_bad": True}
    return {"text": found.text, "is_bad": False}


def _button(groups: list[Siblings], typed: Mapping[str, Any]) -> str:
    """What the button says: `Move $500.00` once the amount is one."""
    group = group_of(groups, (read_choice(typed.get("giver", "")) or (None, None))[0])
    try:
        amount = read_amount(typed.get("amount", ""), group.unit) if group else None
    except NotAnAmount:
        amount = None
    return f"Move {exact_amount_text(amount, group.unit)}" if group and amount else "Move"
