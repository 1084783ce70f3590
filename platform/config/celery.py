"""The Celery app of worker and beat: ``celery -A config.celery worker``."""

import os
import warnings
from logging.config import dictConfig
from typing import Any

from celery import Celery
from celery.concurrency.thread import TaskPool as ThreadPool
from celery.platforms import SecurityWarning  # type: ignore[attr-defined]  # its stubs lack it
from celery.schedules import crontab
from celery.signals import setup_logging, worker_init, worker_process_init, worker_ready
from django.conf import settings

from kernel.metrics import tasks as task_metrics
from kernel.metrics.process import serve_as
from kernel.traces.start import start_traces
from tenants.check_hours import CHECK_HOURS

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

# It warns of pickled messages under root; ours are JSON (`CELERY_ACCEPT_CONTENT`).
warnings.filterwarnings("ignore", category=SecurityWarning)

app = Celery("watermaster")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

# A tick that no worker took in time is worth nothing: the next one is on its way.
app.conf.beat_schedule = {
    "dispatch expiry": {"task": "budgets.dispatch_expiry", "schedule": 1.0, "options": {"expires": 5}},
    "sweep due": {"task": "budgets.sweep_due", "schedule": 3600.0, "options": {"expires": 3600}},
    "dispatch rollups": {"task": "budgets.dispatch_rollups", "schedule": 10.0, "options": {"expires": 10}},
    "sweep standings": {"task": "budgets.sweep_standings", "schedule": 3600.0, "options": {"expires": 3600}},
    "dispatch webhooks": {"task": "tenants.dispatch_webhooks", "schedule": 1.0, "options": {"expires": 5}},
    "enrol webhooks": {"task": "tenants.enrol_webhooks", "schedule": 10.0, "options": {"expires": 10}},
    "sweep webhooks": {"task": "tenants.sweep_webhooks", "schedule": 3600.0, "options": {"expires": 3600}},
    "dispatch checks": {
        "task": "budgets.dispatch_checks",
        "schedule": crontab(minute="*", hour=",".join(map(str, CHECK_HOURS))),
        "options": {"expires": 60},
    },
    "dispatch keeping": {"task": "budgets.dispatch_keeping", "schedule": 60.0, "options": {"expires": 60}},
    "dispatch alerts": {"task": "budgets.dispatch_alerts", "schedule": 10.0, "options": {"expires": 10}},
    "dispatch evidence": {"task": "routing.dispatch_evidence", "schedule": 10.0, "options": {"expires": 10}},
    "dispatch references": {"task": "budgets.dispatch_references", "schedule": 60.0, "options": {"expires": 60}},
    "sweep evidence": {"task": "routing.sweep_evidence", "schedule": 3600.0, "options": {"expires": 3600}},
    "follow prices": {"task": "routing.follow_prices", "schedule": 60.0, "options": {"expires": 60}},
    "follow dates": {"task": "routing.follow_dates", "schedule": 300.0, "options": {"expires": 300}},
    "follow rules": {"task": "routing.follow_rules", "schedule": 3600.0, "options": {"expires": 3600}},
}
# They wait for other people's servers, so they have workers of their own, with many threads.
app.conf.task_routes = {
    name: {"queue": "webhooks"}
    for name in (
        *("tenants.hand_out_of_tenant", "tenants.deliver_of_tenant"),
        *("tenants.hand_out_of_platform", "tenants.deliver_of_platform"),
        *("budgets.tell_of_tenant", "vault.check_references_of_tenant"),
    )
}


@setup_logging.connect
def _keep_our_logging(**_: Any) -> None:
    # Celery's own would write past the redaction.
    dictConfig(settings.LOGGING)


@worker_init.connect
def _count_tasks(sender: Any = None, **_: Any) -> None:
    # Before it forks: the processes that do the tasks inherit this.
    serve_as("worker", folder=settings.METRICS_DIR)
    task_metrics.connect()
    # Of the workers on a machine one answers for all.
    if not str(getattr(sender, "hostname", "")).startswith("egress@"):
        task_metrics.answer(host=settings.WORKER_METRICS_HOST, port=settings.WORKER_METRICS_PORT)


@worker_process_init.connect
def _trace_tasks(**_: Any) -> None:
    # After the fork: spans leave from a thread.
    start_traces("worker")


@worker_ready.connect
def _trace_threads(sender: Any = None, **_: Any) -> None:
    # A worker of threads makes no processes that could say that they have begun.
    if isinstance(getattr(sender, "pool", None), ThreadPool):
        start_traces("worker")


@worker_ready.connect
def _sweep_at_start(**_: Any) -> None:
    # Before this worker there may have been none for a long time.
    app.send_task("budgets.sweep_due", expires=3600)
    app.send_task("budgets.sweep_standings", expires=3600)
    app.send_task("routing.follow_rules", expires=3600)
