"""The program's Celery app on queues of its own, so that runs of the tests that share a server do not share work."""

import os

from config.celery import app

app.conf.task_default_queue = os.environ["TEST_QUEUE"]
app.conf.broker_transport_options = dict(app.conf.broker_transport_options) | {
    "global_keyprefix": f"{os.environ['TEST_QUEUE']}:"
}

# So many times as often as in production: a test does not wait for ticks.
_HASTE = float(os.environ.get("TEST_HASTE", "1"))
for _tick in app.conf.beat_schedule.values():
    if isinstance(_tick["schedule"], float):
        _tick["schedule"] /= _HASTE
