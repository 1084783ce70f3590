"""A tenant's alerts over the management API: what is open, what has ended, and that one is dealt with."""

from typing import Final
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.keys.api.views import answer
from budgets.api.management.pages import PageFields, PageQuery, page_of
from budgets.api.management.refusals import conflict
from budgets.api.management.views import TenantView
from budgets.models import Alert
from budgets.models.choices import AlertKind, AlertState, Severity
from budgets.services.alert_acts import AlertIsOver, AlertNotFound, resolve_alert
from kernel.http.described import described
from kernel.http.errors import error_of_status
from kernel.http.serialized import Fields, OneOf, ReasonFields

_TAG: Final = "alerts"
_NOT_FOUND: Final = "NOT_FOUND: no such tenant or alert."


class AlertQuery(PageQuery):
    """Which alerts."""

    alert_state = OneOf(choices=["open", "ended", "all"], default="open")


class AlertFields(Fields):
    """What was found once for a threshold and a period. `threshold` is in the kind's own measure, 0 without one."""

    alert_id = serializers.UUIDField(source="id")
    kind = serializers.ChoiceField(choices=AlertKind.values)
    severity = serializers.SerializerMethodField()
    scope = serializers.CharField(source="scope_path")
    threshold = serializers.IntegerField()
    period = serializers.CharField(help_text="Empty where it is told each time that it comes back.")
    summary = serializers.CharField()
    state = serializers.ChoiceField(choices=AlertState.values)
    opened_at = serializers.DateTimeField()
    snoozed_until = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    ended_by = serializers.CharField()
    end_reason = serializers.CharField()

    def get_severity(self, alert: Alert) -> str:
        return Severity(alert.severity).name


class AlertPageFields(PageFields):
    """A page of alerts, the newest first."""

    alerts = AlertFields(many=True)


class ResolvedFields(Fields):
    """Whether anything was changed: not, where it was resolved before."""

    is_changed = serializers.BooleanField()


class Alerts(TenantView):
    @described(
        name="list_alerts",
        summary="The tenant's alerts that lie within the key's scopes, the newest first",
        tag=_TAG,
        query=AlertQuery,
        answer=AlertPageFields,
        refusals={404: "NOT_FOUND: no such tenant."},
    )
    def get(self, request: Request, slug: str) -> Response:
        query = self.query(AlertQuery)
        with self.reading(slug) as tenant:
            rows = Alert.objects.filter(self.within("scope_path"))
            if query["alert_state"] == "open":
                rows = rows.filter(state=AlertState.OPEN)
            elif query["alert_state"] == "ended":
                rows = rows.exclude(state=AlertState.OPEN)
            binding = ["alerts", query["alert_state"], sorted(self.caller.key.scope_filter)]
            order = ("opened_at", "id")
            page = page_of(rows, order=order, descending=True, query=query, tag=tenant.tag, binding=binding)
            return answer(AlertPageFields, page.facts("alerts", page.rows))


class AlertResolve(TenantView):
    @described(
        name="resolve_alert",
        summary="It is dealt with, and in its period it is not told again. Safe to repeat",
        tag=_TAG,
        body=ReasonFields,
        answer=ResolvedFields,
        refusals={404: _NOT_FOUND, 409: "CONFLICT: it recovered meanwhile."},
    )
    def post(self, request: Request, slug: str, alert_id: UUID) -> Response:
        reason = self.body(ReasonFields)["reason"]
        with self.writing(slug, reason=reason) as actor:
            if not Alert.objects.filter(self.within("scope_path"), pk=alert_id).exists():
                raise error_of_status(404)
            try:
                is_changed = resolve_alert(tag=self.tenant(slug).tag, alert_id=alert_id, actor=actor)
            except AlertNotFound:
                raise error_of_status(404) from None
            except AlertIsOver:
                raise conflict("The alert recovered meanwhile. Nothing was done.") from None
        return answer(ResolvedFields, {"is_changed": is_changed})
