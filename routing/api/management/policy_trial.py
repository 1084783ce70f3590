"""The test box of policies over the management API: what would be said, before it is saved."""

from dataclasses import asdict
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.keys.api.views import answer
from budgets.services.tool_policy import ToolVerdict
from kernel.http.described import described
from kernel.http.serialized import Fields, FreeObject, OneOf, Text
from routing.api.management.policies import PolicyView
from routing.services.policy_trial import try_kinds, try_tools

_NAMES_MAX = 500


class TrialFields(Fields):
    """Names to try, by what is in force or by drafts."""

    tools = serializers.ListField(child=Text(max_length=256), max_length=_NAMES_MAX, default=list)
    tool_policy = FreeObject(required=False, help_text="A draft of a tools policy.")
    action_kinds = serializers.ListField(child=Text(max_length=64), max_length=_NAMES_MAX, default=list)
    scope = Text(max_length=1024, required=False, help_text="Where the actions would be; the tenant itself, left out.")
    action_policy = FreeObject(required=False, help_text="A draft of an actions policy.")


class ToolTrialFields(Fields):
    tool = serializers.CharField()
    verdict = OneOf(choices=list(ToolVerdict))
    rule = serializers.IntegerField(allow_null=True, help_text="The position of the rule that decides; null: default.")
    pattern = serializers.CharField(allow_null=True)
    place = serializers.CharField(help_text="Whose policy it is.")


class KindTrialFields(Fields):
    kind = serializers.CharField()
    is_allowed = serializers.BooleanField()
    policy = serializers.CharField(allow_null=True, help_text="The id of the policy that refuses it.")
    reason_code = serializers.CharField(allow_null=True)


class TrialAnswerFields(Fields):
    """In the order of the names."""

    tools = ToolTrialFields(many=True)
    action_kinds = KindTrialFields(many=True)


class PolicyTrial(PolicyView):
    @described(
        name="test_policies",
        summary="What is said of each name, and by which rule. Nothing is saved or counted",
        tag="policies",
        body=TrialFields,
        answer=TrialAnswerFields,
        refusals={404: "NOT_FOUND: no such tenant."},
    )
    def post(self, request: Request, slug: str) -> Response:
        values: dict[str, Any] = self.body(TrialFields)
        self.tenant(slug)
        self.require_whole_tenant()
        tag = self.tenant_with_books(slug).tag
        tools = try_tools(tag=tag, tools=values["tools"], draft=values.get("tool_policy"))
        kinds = try_kinds(
            tag=tag,
            slug=slug,
            kinds=values["action_kinds"],
            scope=values.get("scope", f"tenant:{slug}"),
            draft=values.get("action_policy"),
        )
        facts = {"tools": [asdict(tool) for tool in tools], "action_kinds": [asdict(kind) for kind in kinds]}
        return answer(TrialAnswerFields, facts)
