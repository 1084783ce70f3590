"""The dashboard and the alert rules name metrics that there are, with labels that they have."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import pytest
import yaml

from kernel.metrics.catalogue import METRICS, Kind
from tests.plugins.servers import ROOT

FOLDER: Final = ROOT / "docs" / "observability"
_NAME: Final = re.compile(r"\bwatermaster_[a-z_]+")
_LABELS: Final = re.compile(r"(watermaster_[a-z_]+)\{([^}]*)\}")
_BY: Final = re.compile(r"\bby \(([a-z_, ]+)\)")
#: Labels that Prometheus itself puts on.
_ITS_OWN: Final = {"instance", "job"}
ALERTS: Final = yaml.safe_load((FOLDER / "alerts.yaml").read_text())
BOARD: Final = json.loads((FOLDER / "grafana.json").read_text())


def series() -> dict[str, set[str]]:
    """The labels of every series that a scrape may hold."""
    found: dict[str, set[str]] = {}
    for metric in METRICS.values():
        labels = set(metric.labels)
        if metric.kind == Kind.HISTOGRAM:
            found |= {f"{metric.name}_{end}": labels for end in ("count", "sum")}
            found[f"{metric.name}_bucket"] = labels | {"le"}
        else:
            found[metric.name] = labels
    return found


def expressions() -> Iterator[Any]:
    for group in ALERTS["groups"]:
        for rule in group["rules"]:
            yield pytest.param(rule["expr"], id=rule["alert"])
    for panel in BOARD["panels"]:
        for target in panel.get("targets", ()):
            yield pytest.param(target["expr"], id=f"{panel['title']} {target['refId']}")
    for annotation in BOARD["annotations"]["list"]:
        yield pytest.param(annotation["expr"], id=annotation["name"])


@pytest.mark.parametrize("expression", list(expressions()))
def test_every_expression_asks_for_what_is_there(expression: str) -> None:
    known, named = series(), set(_NAME.findall(expression))

    assert named
    assert named <= known.keys()
    for name, matchers in _LABELS.findall(expression):
        assert {matcher.strip().split("=")[0].rstrip("!") for matcher in matchers.split(",")} <= known[name]
    for labels in _BY.findall(expression):
        assert {label.strip() for label in labels.split(",")} <= set.union(*(known[name] for name in named)) | _ITS_OWN
    assert expression.count("(") == expression.count(")")


def test_every_metric_is_looked_at_somewhere() -> None:
    text = json.dumps(BOARD) + json.dumps(ALERTS)

    # The one that is off unless it is asked for, and what is a name only.
    unseen = {name for name in METRICS if name not in text} - {"watermaster_tenant_decisions_total"}
    assert unseen == set()


def test_every_rule_says_what_to_do() -> None:
    for group in ALERTS["groups"]:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in {"page", "warn"}
            assert rule["annotations"]["summary"].endswith(".")
            assert rule["annotations"]["action"].endswith(".")


def test_the_page_lists_every_metric_with_its_labels() -> None:
    rows = dict(
        re.findall(r"^\| `(watermaster_[a-z_]+)` \| ([^|]*) \|", (FOLDER / "README.md").read_text(), re.MULTILINE)
    )

    listed = {name: set(re.findall(r"`([a-z_]+)`", labels)) for name, labels in rows.items()}
    assert listed == {metric.name: set(metric.labels) for metric in METRICS.values()}
