"""Switching traces on in a process, where the environment asks for them."""

import logging
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

from django.conf import settings

from kernel.traces.port import listening

_logger = logging.getLogger(__name__)


def start_traces(component: str) -> None:
    """Send this process's spans to `OTEL_EXPORTER_OTLP_ENDPOINT`; nothing where it is not set. Safe to repeat."""
    if not settings.TRACES_ENDPOINT or listening.sink is not None:
        return
    try:
        sdk = import_module("kernel.traces.sdk")
    except ImportError as error:
        _logger.warning("No traces: install watermaster[otel]. %s is missing.", error.name)
        return
    try:
        own = version("watermaster")
    except PackageNotFoundError:
        own = "checkout"
    listening.sink = sdk.to_collector(
        endpoint=settings.TRACES_ENDPOINT, component=component, version=own, ratio=settings.TRACES_RATIO
    )
