"""The planner over the management API: what an agent's traffic costs, from its budget table. Touches no database."""

from typing import ClassVar

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.keys.api.views import KeyedView, Refusals, answer
from kernel.http.described import described
from kernel.http.errors import ProtocolError, invalid_request
from kernel.http.serialized import Fields, FreeObject, Text
from routing.services.plan_file import FILE_BYTES_MAX, read_plan_file
from routing.services.plan_file_numbers import InvalidPlan
from routing.services.plan_report import plan_document, plan_text
from routing.services.planner import CannotPlan, make_plan
from routing.services.timeouts import TimeoutsDoNotFit


class BudgetTableFields(Fields):
    table = Text(
        max_length=FILE_BYTES_MAX,
        help_text="A budget table as TOML: agent, turns_a_day, currency, tiers, classes; examples/ has some.",
    )


class PlannedFields(Fields):
    """Expected, at worst under the caps, and with everything on the large model."""

    figures = FreeObject(help_text="As `manage.py planner --json` has them.")
    text = serializers.CharField(help_text="The same in lines for people.")


def _invalid_table(refusal: Exception) -> ProtocolError:
    return invalid_request(f"table: {refusal}", field="table")


class Planner(KeyedView):
    refusals: ClassVar[Refusals] = {
        InvalidPlan: _invalid_table,
        CannotPlan: _invalid_table,
        TimeoutsDoNotFit: _invalid_table,
    }

    @described(
        name="plan_costs",
        summary="What the traffic costs a turn, a day and in 30 days. Nothing is saved",
        tag="plans",
        body=BudgetTableFields,
        answer=PlannedFields,
    )
    def post(self, request: Request) -> Response:
        plan = make_plan(read_plan_file(self.body(BudgetTableFields)["table"].encode()))
        return answer(PlannedFields, {"figures": plan_document(plan), "text": plan_text(plan)})
