"""Metrics in the text format that Prometheus reads."""

from collections.abc import Iterable, Mapping
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from kernel.metrics import process
from kernel.metrics.catalogue import METRICS, Kind
from kernel.metrics.tally import Numbers, Series, added_up


class _Given(Collector):
    def __init__(self, numbers: Mapping[Series, Numbers]) -> None:
        self._numbers = numbers

    def collect(self) -> Iterable[Metric]:
        by_name: dict[str, dict[tuple[str, ...], Numbers]] = {}
        for (name, labels), numbers in sorted(self._numbers.items()):
            by_name.setdefault(name, {})[labels] = numbers
        for name, lines in by_name.items():
            yield _family(name, lines)


def _family(name: str, lines: Mapping[tuple[str, ...], Numbers]) -> Metric:
    metric = METRICS[name]
    if metric.kind == Kind.HISTOGRAM:
        histogram = HistogramMetricFamily(name, metric.help, labels=metric.labels)
        ends = [*(str(float(bound)) for bound in metric.bounds), "+Inf"]
        for labels, numbers in lines.items():
            buckets = list(zip(ends, accumulate(numbers[:-1]), strict=True))
            histogram.add_metric(labels, buckets=buckets, sum_value=numbers[-1])
        return histogram
    family = (CounterMetricFamily if metric.kind == Kind.COUNTER else GaugeMetricFamily)(
        name, metric.help, labels=metric.labels
    )
    for labels, numbers in lines.items():
        family.add_metric(labels, numbers[0])
    return family


def own_numbers() -> dict[Series, Numbers]:
    """What the processes of this one's component have counted; of this process alone where it serves as none."""
    process.flush()
    if process.current.snapshots is not None and (found := process.current.snapshots.read()):
        return found
    # No folder that could be written: then this process is all that there is to be seen.
    return process.current.tally.read()


def rendered(*more: Mapping[Series, Numbers]) -> bytes:
    """The text: this component's numbers, and what else is given."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Given(added_up((own_numbers(), *more))))
    return generate_latest(registry)
