"""The program's Celery app on queues of its own, so that runs of the tests that share a server do not share work."""

import os

from config.celery import app

app.conf.task_default_queue = os.environ["TEST_QUEUE"]
app.conf.broker_transport_options = dict(app.conf.broker_transport_options) | {
    "global_keyprefix": f"{os.environ['TEST_QUEUE']}:"
}
