"""What a change of plan does to run templates: those that nobody edited follow it; open runs keep what they got."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from budgets.models import RunTemplate
from budgets.services.journal import Journal
from budgets.services.plan_defaults import PlanDefaults, RunTemplateDefault
from budgets.services.run_templates import TemplateEdit, create_template_in, delete_template_in, update_template_in


class TemplateStepKind(StrEnum):
    """KEPT: it was edited, or made, by hand."""

    MADE = "made"
    CHANGED = "changed"
    REMOVED = "removed"
    KEPT = "kept"


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateStep:
    """What becomes of one template; amounts in `unit`, None where there is none."""

    kind: TemplateStepKind
    name: str
    unit: str
    before: int | None
    after: int | None
    given: RunTemplateDefault | None


def template_steps(
    *, old: PlanDefaults | None, new: PlanDefaults, templates: Sequence[RunTemplate]
) -> Iterator[TemplateStep]:
    """What becomes of the templates that the old or the new plan gives, by name."""
    before = {} if old is None else {given.name: given for given in old.run_templates}
    after = {given.name: given for given in new.run_templates}
    there = {template.name: template for template in templates}
    for name in sorted(before.keys() | after.keys()):
        template, given = there.get(name), after.get(name)
        if template is None:
            if given is not None:
                yield _step(TemplateStepKind.MADE, name, None, given)
        elif name not in before or not _is_as_given(template, before[name]):
            yield TemplateStep(
                kind=TemplateStepKind.KEPT,
                name=name,
                unit=template.unit,
                before=template.amount,
                after=template.amount,
                given=None,
            )
        else:
            yield _step(TemplateStepKind.CHANGED if given else TemplateStepKind.REMOVED, name, template, given)


def take_template_step(journal: Journal, step: TemplateStep) -> None:
    given = step.given
    if step.kind == TemplateStepKind.REMOVED:
        delete_template_in(journal, name=step.name)
    elif given is not None and step.kind == TemplateStepKind.MADE:
        create_template_in(journal, name=given.name, unit=given.unit, amount=given.amount, is_default=given.is_default)
    elif given is not None:
        edit = TemplateEdit(unit=given.unit, amount=given.amount, is_default=given.is_default)
        update_template_in(journal, name=given.name, edit=edit)


def _step(
    kind: TemplateStepKind, name: str, template: RunTemplate | None, given: RunTemplateDefault | None
) -> TemplateStep:
    unit = given.unit if given is not None else template.unit if template is not None else ""
    return TemplateStep(
        kind=kind,
        name=name,
        unit=str(unit),
        before=None if template is None else template.amount,
        after=None if given is None else given.amount,
        given=given,
    )


def _is_as_given(template: RunTemplate, given: RunTemplateDefault) -> bool:
    return (template.amount, template.unit) == (given.amount, given.unit)
