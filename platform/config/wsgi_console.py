"""The console process: ``granian --interface wsgi config.wsgi_console:application``."""

import os

# Before Django reads the settings: they follow the plane.
os.environ["WATERMASTER_PLANE"] = "console"
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from kernel.metrics.process import serve_as
from kernel.traces.start import start_traces

application = get_wsgi_application()

serve_as("console", folder=settings.METRICS_DIR)
start_traces("console")
