"""The tenant's own classifiers, as they are kept."""

from dataclasses import dataclass
from datetime import datetime

from budgets.models import RouterModel


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLine:
    """A trained version, without its content. `accuracy_ppm` is of the tier, on examples that were held out."""

    version: int
    trained_at: datetime
    examples: int
    accuracy_ppm: int
    actor: str


def newest_model() -> ModelLine | None:
    """The version in use; None where none was trained."""
    model = RouterModel.objects.defer("content").order_by("-version").first()
    return None if model is None else line_of(model)


def model_content(version: int) -> bytes | None:
    """The stored bytes; None where the version is gone."""
    content = RouterModel.objects.filter(pk=version).values_list("content", flat=True).first()
    return None if content is None else bytes(content)


def line_of(model: RouterModel) -> ModelLine:
    return ModelLine(
        version=model.version,
        trained_at=model.trained_at,
        examples=model.examples,
        accuracy_ppm=model.accuracy_ppm,
        actor=model.actor,
    )
