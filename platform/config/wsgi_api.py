"""The api process: ``granian --interface wsgi config.wsgi_api:application``."""

import os

# Before Django reads the settings: they follow the plane.
os.environ["WATERMASTER_PLANE"] = "api"
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.conf import settings
from django.core.cache import close_caches
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, reset_queries

from kernel.http.half_sent import HalfSentWatch
from kernel.metrics.process import serve_as
from kernel.traces.start import start_traces

application = get_wsgi_application()

# This plane asks PostgreSQL through `kernel.lanes` and keeps no cache: what Django does around each request for its
# own connections
# would only cost time.
request_started.disconnect(reset_queries)
request_started.disconnect(close_old_connections)
request_finished.disconnect(close_old_connections)
request_finished.disconnect(close_caches)

serve_as("api", folder=settings.METRICS_DIR)
start_traces("api")
HalfSentWatch(seconds_max=settings.API_REQUEST_SECONDS).start()
