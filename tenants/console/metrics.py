"""`/metrics` of the console: its own, and how the platform is."""

from datetime import UTC, datetime

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from kernel.metrics.http import may_read_metrics, metrics_response
from tenants.selectors.platform_gauges import platform_gauges


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """For Prometheus. To others than the machine itself, or whoever bears the token, there is nothing here."""
    if not may_read_metrics(request.META):
        raise Http404
    return metrics_response(platform_gauges(now=datetime.now(UTC)))
