"""The router over the management API: labels and its accuracy, training, and the class of a text."""

from typing import Any, ClassVar, Final
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.keys.api.views import Refusals, answer
from budgets.api.management.refusals import REFUSALS, conflict
from budgets.api.management.views import TenantView
from budgets.selectors.router_models import ModelLine, newest_model
from budgets.services.router_labels import LABELS_MAX, LabelRefused, NewLabel, record_labels
from budgets.services.routing_policy import TierName
from kernel.http.described import described
from kernel.http.errors import error_of_status, invalid_request, unavailable
from kernel.http.serialized import Fields, OneOf, ReasonFields, Text
from kernel.ids import Tag, parse_wire_id
from routing.services.classifier import TEXT_LENGTH_MAX
from routing.services.classifier_storage import NotAClassifier
from routing.services.classifier_training import CannotTrain, Example
from routing.services.router_accuracy import RouterVerdict
from routing.services.router_training import NotTrained, classify_text, train_router
from routing.services.router_watch import RouterReport, router_report, watch_router
from routing.services.rulesets import RulesBusy

_TAG: Final = "router"
_NOT_FOUND: Final = "NOT_FOUND: no such tenant."
_PPM: Final = 1_000_000
#: More do not fit into a body anyway; `manage.py train_router` takes larger sets.
_EXAMPLES_MAX: Final = 10_000
_TIERS: Final = [str(tier) for tier in TierName]


class LabelFields(Fields):
    """What somebody says of one routed decision."""

    decision_id = Text(max_length=256)
    needed = OneOf(choices=_TIERS, help_text="The tier that the request really needed.")


class LabelsFields(Fields):
    labels = serializers.ListField(child=LabelFields(), allow_empty=False, max_length=LABELS_MAX)


class SwitchStateFields(Fields):
    """The switch that takes the router out: on, everything goes to one tier."""

    is_on = serializers.BooleanField()
    since = serializers.DateTimeField(allow_null=True)
    by = serializers.CharField(help_text="`router accuracy`: thrown by itself, and lifted by itself.")


class AccuracyFields(Fields):
    """The newest labels since the switch was last thrown or lifted. Shares are parts per million."""

    labels = serializers.IntegerField()
    correct = serializers.IntegerField()
    accuracy_ppm = serializers.IntegerField()
    low_ppm = serializers.IntegerField(help_text="Of Wilson's interval at 95 %.")
    high_ppm = serializers.IntegerField()
    under_routed_ppm = serializers.IntegerField(help_text="The tier was too weak.")
    over_routed_ppm = serializers.IntegerField(help_text="The tier was dearer than needed.")
    target_ppm = serializers.IntegerField()
    verdict = OneOf(choices=[str(verdict) for verdict in RouterVerdict])
    switch = SwitchStateFields()


class LabelledFields(Fields):
    """What came of the labels. The alarm is an event, `router.drifted`, once for each time that the switch goes on."""

    added = serializers.IntegerField()
    changed = serializers.IntegerField()
    is_switched = serializers.BooleanField(help_text="The fallback switch was thrown or lifted because of them.")
    accuracy = AccuracyFields()


class ExampleFields(Fields):
    """A request and the traffic class that it was of."""

    text = Text(max_length=TEXT_LENGTH_MAX)

    def get_fields(self) -> dict[str, Any]:
        # `class` is a word of Python's own.
        return super().get_fields() | {"class": Text(max_length=64, help_text="One of the tenant's traffic classes.")}


class TrainingFields(ReasonFields):
    examples = serializers.ListField(child=ExampleFields(), allow_empty=False, max_length=_EXAMPLES_MAX)


class ModelFields(Fields):
    """A trained version. Its accuracy is how often the tier was right, of examples that were held out."""

    version = serializers.IntegerField()
    trained_at = serializers.DateTimeField()
    examples = serializers.IntegerField()
    accuracy_ppm = serializers.IntegerField()
    actor = serializers.CharField()


class RouterFields(Fields):
    """The router's accuracy, and the classifier in use; null where none was trained."""

    accuracy = AccuracyFields()
    model = ModelFields(allow_null=True)


class TextFields(Fields):
    text = Text(max_length=TEXT_LENGTH_MAX)


class ClassificationFields(Fields):
    """The most probable class, and the tier behind the gate: what is unsure goes to the medium one."""

    tier = OneOf(choices=_TIERS)
    confidence_ppm = serializers.IntegerField(help_text="The probability of all classes of the most probable tier.")
    is_unsure = serializers.BooleanField()
    model_version = serializers.IntegerField()

    def get_fields(self) -> dict[str, Any]:
        return {"class": serializers.CharField()} | super().get_fields()


class RouterView(TenantView):
    refusals: ClassVar[Refusals] = {
        **REFUSALS,
        CannotTrain: lambda refusal: invalid_request(str(refusal), field="examples"),
        NotTrained: lambda _: conflict("The tenant has no classifier. Train one."),
        NotAClassifier: lambda _: conflict("The classifier was written by another release. Train it again."),
        RulesBusy: lambda _: unavailable("The tenant's rules are being changed by others. Repeat the request."),
    }


class Router(RouterView):
    @described(
        name="get_router",
        summary="How often the router is right, and the classifier in use",
        tag=_TAG,
        answer=RouterFields,
        refusals={404: _NOT_FOUND},
    )
    def get(self, request: Request, slug: str) -> Response:
        self.tenant(slug)
        self.require_whole_tenant()
        with self.reading(slug):
            facts = {"accuracy": _accuracy(router_report()), "model": _model(newest_model())}
        return answer(RouterFields, facts)


class RouterLabels(RouterView):
    @described(
        name="label_decisions",
        summary="What came of the labels; they are kept all or none. Safe to repeat",
        tag=_TAG,
        body=LabelsFields,
        answer=LabelledFields,
        refusals={404: "NOT_FOUND: no such tenant or decision.", 409: "TENANT_CLOSED."},
    )
    def post(self, request: Request, slug: str) -> Response:
        values = self.body(LabelsFields)["labels"]
        tag = self.tenant_with_books(slug).tag
        labels = [
            NewLabel(decision_id=_decision_id(value["decision_id"], tag=tag), needed=value["needed"])
            for value in values
        ]
        with self.writing(slug) as actor:
            try:
                labelled = record_labels(labels, actor=actor, within=self.within("scope_path"))
            except LabelRefused as refusal:
                if not refusal.is_known:
                    raise error_of_status(404) from None
                field = f"labels[{refusal.place}].decision_id"
                raise invalid_request(f"{field} must be of a decision that chose a model.", field=field) from None
        is_switched = watch_router(tag=tag)
        with self.reading(slug):
            accuracy = _accuracy(router_report())
        facts = {"added": labelled.added, "changed": labelled.changed}
        return answer(LabelledFields, facts | {"is_switched": is_switched, "accuracy": accuracy})


class RouterTraining(RouterView):
    @described(
        name="train_router",
        summary="The new classifier, in use from now on. Takes seconds; each call trains a version",
        tag=_TAG,
        body=TrainingFields,
        answer=ModelFields,
        status=201,
        refusals={404: _NOT_FOUND, 409: "TENANT_CLOSED."},
    )
    def post(self, request: Request, slug: str) -> Response:
        values = self.body(TrainingFields)
        tag = self.tenant_with_books(slug).tag
        self.require_whole_tenant()
        examples = [Example(text=value["text"], label=value["class"]) for value in values["examples"]]
        actor = self.actor(reason=values["reason"], on_behalf=True)
        return answer(ModelFields, _model(train_router(tag=tag, examples=examples, actor=actor)), status=201)


class RouterClassification(RouterView):
    @described(
        name="classify_text",
        summary="The class of the text by the tenant's own classifier, and the tier to send it to",
        tag=_TAG,
        body=TextFields,
        answer=ClassificationFields,
        refusals={404: _NOT_FOUND, 409: "The tenant has no classifier."},
    )
    def post(self, request: Request, slug: str) -> Response:
        values = self.body(TextFields)
        tag = self.tenant_with_books(slug).tag
        found, version = classify_text(tag=tag, text=values["text"])
        facts = {
            "class": found.label,
            "tier": found.tier,
            "confidence_ppm": round(found.confidence * _PPM),
            "is_unsure": found.is_unsure,
            "model_version": version,
        }
        return answer(ClassificationFields, facts)


def _decision_id(text: str, *, tag: Tag) -> UUID:
    """The decision's own id. A forged one and another tenant's are unknown; neither is looked for."""
    wire_id = parse_wire_id("dec", text)
    if wire_id is None or wire_id.tag != tag:
        raise error_of_status(404)
    return wire_id.uuid


def _accuracy(report: RouterReport) -> dict[str, Any]:
    found = report.accuracy
    shares = {
        "accuracy_ppm": found.share,
        "low_ppm": found.interval.low,
        "high_ppm": found.interval.high,
        "under_routed_ppm": found.under_rate,
        "over_routed_ppm": found.over_rate,
        "target_ppm": report.target,
    }
    return {
        "labels": found.labels,
        "correct": found.correct,
        **{name: round(share * _PPM) for name, share in shares.items()},
        "verdict": report.verdict,
        "switch": report.switch,
    }


def _model(model: ModelLine | None) -> dict[str, Any] | None:
    if model is None:
        return None
    return {name: getattr(model, name) for name in ("version", "trained_at", "examples", "accuracy_ppm", "actor")}
