"""What each plane is made of: its apps and its middleware. Nothing here depends on the environment."""

from typing import Final

# The api plane has no people. It would also lack the middleware on which allauth insists.
_PEOPLE: Final = (
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
)
_SHARED: Final = (
    "django_tenants",
    "django.contrib.contenttypes",
    "django.contrib.postgres",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "accounts",
    "accounts.keys",
    "telemetry",
    "telemetry.findings",
    "tenants",
    "routing",
)
TENANT_APPS: Final = ("accounts.keys", "telemetry", "telemetry.evidence", "vault", "budgets")
MIDDLEWARES: Final[dict[str, list[str]]] = {
    "api": ["kernel.http.middleware.ProtocolMiddleware"],
    "console": [
        "kernel.http.watched.WatchMiddleware",
        "django.middleware.security.SecurityMiddleware",
        "django.middleware.csp.ContentSecurityPolicyMiddleware",
        "kernel.http.browser_headers.BrowserHeadersMiddleware",
        "whitenoise.middleware.WhiteNoiseMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "allauth.account.middleware.AccountMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
        "django_htmx.middleware.HtmxMiddleware",
        "tenants.console.gate.ConsoleGate",
        "accounts.console.account.AccountGate",
    ],
}


def shared_apps(plane: str) -> list[str]:
    """The apps with tables in the shared schema."""
    return [*_SHARED, *(() if plane == "api" else _PEOPLE)]


def all_apps(plane: str) -> list[str]:
    """First the app whose commands must be found before those of django_tenants, which go past the books."""
    shared = shared_apps(plane)
    return ["budgets", *shared, *(app for app in TENANT_APPS if app not in {"budgets", *shared})]
