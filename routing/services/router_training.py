"""A tenant's router: trained from its own examples, kept in its own schema, and asked for the class of a text."""

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from budgets.selectors.router_models import ModelLine, model_content, newest_model
from budgets.services.router_models import NewModel, save_model
from budgets.services.routing_policy import TierName
from budgets.services.ruleset import current_document
from kernel.actor import Actor
from kernel.ids import Tag
from kernel.tenancy import in_tenant
from routing.services.classifier import Classification, Classifier
from routing.services.classifier_cache import ClassifierCache
from routing.services.classifier_storage import from_bytes, to_bytes
from routing.services.classifier_training import EXAMPLES_PER_LABEL_MIN, CannotTrain, Example, train

#: One of so many examples of a class is held out.
_HELD_OUT: Final = 5
#: So that enough are left when a fifth is held out.
EXAMPLES_A_CLASS_MIN: Final = 12
_PPM: Final = 1_000_000


class NotTrained(Exception):
    """The tenant has no classifier."""


_classifiers: Final = ClassifierCache()


def train_router(*, tag: Tag, examples: Sequence[Example], actor: Actor) -> ModelLine:
    """Train the tenant's next classifier; in use when this returns. Takes seconds for thousands of examples.

    Classes and their tiers are those of the tenant's rules. A fifth of each class is held out to measure how often the
    tier is right, with the gate; what is kept is trained on all. Raises `CannotTrain`, `TenantIsClosed`.
    """
    with in_tenant(tag):
        tiers = _tiers(current_document())
    kept, held_out = _split(examples)
    measured = train(kept, tiers=tiers)
    right = sum(measured.classify(each.text).tier == tiers[each.label] for each in held_out)
    trained = train(examples, tiers=tiers)
    new = NewModel(
        content=to_bytes(trained), examples=len(examples), accuracy_ppm=right * _PPM // max(len(held_out), 1)
    )
    with in_tenant(tag):
        return save_model(new, actor=actor)


def classify_text(*, tag: Tag, text: str) -> tuple[Classification, int]:
    """The class of the text, by the tenant's newest classifier behind the gate, and which version it is.

    Raises `NotTrained`, and `NotAClassifier` where another release of the program wrote it: train it again.
    """
    with in_tenant(tag):
        newest = newest_model()
    if newest is None:
        raise NotTrained(tag)
    return _classifier(tag, newest.version).classify(text), newest.version


def _classifier(tag: Tag, version: int) -> Classifier:
    found = _classifiers.get(tag, version)
    if found is not None:
        return found
    with in_tenant(tag):
        content = model_content(version)
    if content is None:
        raise NotTrained(tag)
    classifier = from_bytes(content)
    _classifiers.put(tag, version, classifier)
    return classifier


def _tiers(rules: Mapping[str, Any]) -> dict[str, TierName]:
    return {name: TierName(each["tier"]) for name, each in rules.get("classes", {}).items() if "tier" in each}


def _split(examples: Sequence[Example]) -> tuple[list[Example], list[Example]]:
    """What to learn from and what to hold out, of every class alike. The same examples are split alike."""
    by_label: defaultdict[str, list[Example]] = defaultdict(list)
    for example in examples:
        by_label[example.label].append(example)
    rare = next((label for label, each in sorted(by_label.items()) if len(each) < EXAMPLES_A_CLASS_MIN), None)
    if rare is not None:
        raise CannotTrain(
            f"The class {rare} needs at least {EXAMPLES_A_CLASS_MIN} examples:"
            f" {EXAMPLES_PER_LABEL_MIN} to learn from, the rest to measure by."
        )
    kept: list[Example] = []
    held_out: list[Example] = []
    # Examples often come in an order of their own; the same seed, so that the same examples give the same figure.
    chance = random.Random(0)  # noqa: S311  nothing secret
    for each in by_label.values():
        chance.shuffle(each)
        cut = len(each) // _HELD_OUT
        held_out += each[:cut]
        kept += each[cut:]
    return kept, held_out
