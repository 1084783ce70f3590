"""The Celery app of worker and beat: ``celery -A config.celery worker``."""

import os
import warnings

from celery import Celery
from celery.platforms import SecurityWarning  # type: ignore[attr-defined]  # its stubs lack it

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

# It warns of pickled messages under root; ours are JSON (`CELERY_ACCEPT_CONTENT`).
warnings.filterwarnings("ignore", category=SecurityWarning)

app = Celery("watermaster")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
