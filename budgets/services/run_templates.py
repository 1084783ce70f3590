"""Run templates: what the budget of a run gets when its first reservation opens it."""

import re
from dataclasses import dataclass
from typing import Final

from budgets.models import RunTemplate
from budgets.services.guards import require_not_closed
from budgets.services.journal import Journal, open_journal
from kernel.actor import Actor
from kernel.ids import uuid7
from kernel.money import Unit
from telemetry.services import audit

_NAME: Final = re.compile(r"[a-z0-9_.-]{1,128}", re.ASCII)


class InvalidTemplateName(Exception):
    """A name is 1 to 128 of `a-z 0-9 _ . -`, as it is written in a subject once that is lower-cased."""


class TemplateExists(Exception):
    """There is a template with this name."""


class TemplateNotFound(Exception):
    """There is no template with this name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateEdit:
    """The new values; None leaves one as it is. Runs that are open keep what they got."""

    unit: Unit | None = None
    amount: int | None = None
    is_default: bool | None = None


def create_template(*, name: str, unit: Unit, amount: int, is_default: bool = False, actor: Actor) -> RunTemplate:
    """A new template; as the default one it takes the place of the one before.

    Raises `InvalidTemplateName`, `TemplateExists`, `TenantIsClosed`.
    """
    with open_journal(actor=actor) as journal:
        return create_template_in(journal, name=name, unit=unit, amount=amount, is_default=is_default)


def create_template_in(
    journal: Journal, *, name: str, unit: Unit, amount: int, is_default: bool = False
) -> RunTemplate:
    """As `create_template`, within an open journal."""
    require_not_closed(journal)
    if not _NAME.fullmatch(name):
        raise InvalidTemplateName(name)
    if RunTemplate.objects.filter(name=name).exists():
        raise TemplateExists(name)
    if is_default:
        _clear_default()
    template = RunTemplate.objects.create(id=uuid7(), name=name, unit=unit, amount=amount, is_default=is_default)
    audit.record(
        actor=journal.actor, action="run_template.created", target=name, at=journal.now, after=_facts(template)
    )
    return template


def update_template(*, name: str, edit: TemplateEdit, actor: Actor) -> RunTemplate:
    """Change a template. Raises `TemplateNotFound`, `TenantIsClosed`."""
    with open_journal(actor=actor) as journal:
        return update_template_in(journal, name=name, edit=edit)


def update_template_in(journal: Journal, *, name: str, edit: TemplateEdit) -> RunTemplate:
    """As `update_template`, within an open journal."""
    require_not_closed(journal)
    template = _template(name)
    before = _facts(template)
    if edit.is_default and not template.is_default:
        _clear_default()
    template.unit = template.unit if edit.unit is None else edit.unit
    template.amount = template.amount if edit.amount is None else edit.amount
    template.is_default = template.is_default if edit.is_default is None else edit.is_default
    if (after := _facts(template)) != before:
        template.save(force_update=True)
        audit.record(
            actor=journal.actor,
            action="run_template.updated",
            target=name,
            at=journal.now,
            before=before,
            after=after,
        )
    return template


def delete_template(*, name: str, actor: Actor) -> None:
    """Remove a template; open runs keep their budgets. Raises `TemplateNotFound`, `TenantIsClosed`."""
    with open_journal(actor=actor) as journal:
        delete_template_in(journal, name=name)


def delete_template_in(journal: Journal, *, name: str) -> None:
    """As `delete_template`, within an open journal."""
    require_not_closed(journal)
    template = _template(name)
    before = _facts(template)
    template.delete()
    audit.record(actor=journal.actor, action="run_template.deleted", target=name, at=journal.now, before=before)


def _template(name: str) -> RunTemplate:
    template = RunTemplate.objects.filter(name=name).first()
    if template is None:
        raise TemplateNotFound(name)
    return template


def _clear_default() -> None:
    RunTemplate.objects.filter(is_default=True).update(is_default=False)


def _facts(template: RunTemplate) -> dict[str, object]:
    return {"unit": template.unit, "amount": template.amount, "is_default": template.is_default}
