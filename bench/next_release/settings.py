"""The product's settings with the app of the next release."""

from config.settings import *  # noqa: F403
from config.settings import INSTALLED_APPS, TENANT_APPS

TENANT_APPS = [*TENANT_APPS, "bench.next_release"]
INSTALLED_APPS = [*INSTALLED_APPS, "bench.next_release"]
