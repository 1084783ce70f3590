"""Run templates over the management API. They are the whole tenant's, so a key confined to scopes only reads them."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.keys.api.views import answer
from budgets.api.management.fields import amount
from budgets.api.management.views import TenantView
from budgets.models import RunTemplate
from budgets.services.run_templates import (
    TemplateEdit,
    TemplateNotFound,
    create_template,
    delete_template,
    update_template,
)
from kernel.http.described import described
from kernel.http.errors import invalid_request
from kernel.http.serialized import AmountFields, Fields, Flag, ReasonFields, Text
from kernel.money import Unit

_TAG = "run templates"
_NOT_FOUND = "NOT_FOUND: no such tenant or template."


class RunTemplateFields(Fields):
    """What the budget of a run gets when its first reservation opens it."""

    name = serializers.CharField()
    amount = AmountFields()
    is_default = serializers.BooleanField(help_text="For runs that name no template.")


class RunTemplateListFields(Fields):
    run_templates = RunTemplateFields(many=True)


class NewRunTemplateFields(ReasonFields):
    name = Text(
        max_length=128, help_text="Lower case. Runs name it by the dimension run_template, or by their workflow."
    )
    amount = AmountFields()
    is_default = Flag(default=False)


class RunTemplateEditFields(ReasonFields):
    """Any of these; runs that are open keep what they got."""

    amount = AmountFields(required=False)
    is_default = Flag(required=False)


class RunTemplates(TenantView):
    @described(
        name="list_run_templates",
        summary="All run templates by name",
        tag=_TAG,
        answer=RunTemplateListFields,
        refusals={404: "NOT_FOUND: no such tenant."},
    )
    def get(self, request: Request, slug: str) -> Response:
        with self.reading(slug):
            templates = [_facts(template) for template in RunTemplate.objects.order_by("name")]
        return answer(RunTemplateListFields, {"run_templates": templates})

    @described(
        name="create_run_template",
        summary="The new run template",
        tag=_TAG,
        body=NewRunTemplateFields,
        answer=RunTemplateFields,
        status=201,
        refusals={404: "NOT_FOUND: no such tenant.", 409: "There is one with this name, or TENANT_CLOSED."},
    )
    def post(self, request: Request, slug: str) -> Response:
        values = self.body(NewRunTemplateFields)
        self.tenant(slug)
        self.require_whole_tenant()
        with self.writing(slug, reason=values["reason"]) as actor:
            template = create_template(
                name=values["name"],
                unit=Unit(values["amount"]["unit"]),
                amount=values["amount"]["amount"],
                is_default=values["is_default"],
                actor=actor,
            )
        return answer(RunTemplateFields, _facts(template), status=201)


class OneRunTemplate(TenantView):
    @described(
        name="get_run_template",
        summary="The run template",
        tag=_TAG,
        answer=RunTemplateFields,
        refusals={404: _NOT_FOUND},
    )
    def get(self, request: Request, slug: str, name: str) -> Response:
        with self.reading(slug):
            template = RunTemplate.objects.filter(name=name).first()
        if template is None:
            raise TemplateNotFound(name)
        return answer(RunTemplateFields, _facts(template))

    @described(
        name="update_run_template",
        summary="The run template as it is now",
        tag=_TAG,
        body=RunTemplateEditFields,
        answer=RunTemplateFields,
        refusals={404: _NOT_FOUND, 409: "TENANT_CLOSED."},
    )
    def patch(self, request: Request, slug: str, name: str) -> Response:
        values = self.body(RunTemplateEditFields)
        self.tenant(slug)
        self.require_whole_tenant()
        if not values.keys() - {"reason"}:
            raise invalid_request("Name at least one of amount and is_default.")
        given = values.get("amount")
        edit = TemplateEdit(
            unit=Unit(given["unit"]) if given else None,
            amount=given["amount"] if given else None,
            is_default=values.get("is_default"),
        )
        with self.writing(slug, reason=values["reason"]) as actor:
            template = update_template(name=name, edit=edit, actor=actor)
        return answer(RunTemplateFields, _facts(template))

    @described(
        name="delete_run_template",
        summary="It is gone; runs that are open keep what they got",
        tag=_TAG,
        answer=None,
        status=204,
        refusals={404: _NOT_FOUND, 409: "TENANT_CLOSED."},
    )
    def delete(self, request: Request, slug: str, name: str) -> Response:
        self.tenant(slug)
        self.require_whole_tenant()
        with self.writing(slug) as actor:
            delete_template(name=name, actor=actor)
        return Response(status=204)


def _facts(template: RunTemplate) -> dict[str, Any]:
    return {
        "name": template.name,
        "amount": amount(template.unit, template.amount),
        "is_default": template.is_default,
    }
