"""The one settings module, driven by the environment; read it through `django.conf.settings`."""

import hashlib
import hmac
import os
from pathlib import Path

from config import api_description, credentials, environment, installed, pages, sign_in
from kernel.logs.setup import LOG_FORMATS, LOG_LEVELS, logging_config

BASE_DIR = environment.BASE_DIR
VAR_DIR = environment.var_folder(os.environ)
_servers = environment.servers(os.environ)

# ── Secrets ──────────────────────────────────────────────────────────────────────────────────────────
# One root secret; every use derives its own key, so that none can stand in for another.
WATERMASTER_SECRET = environment.root_secret(os.environ, var=VAR_DIR)
# Secrets before it, the newest first: what they made is still accepted, and nothing new is made with them.
WATERMASTER_SECRET_FALLBACKS = environment.names(os.environ, "WATERMASTER_SECRET_FALLBACKS", default="")
SECRET_KEY = hmac.new(WATERMASTER_SECRET.encode(), b"django.secret_key", hashlib.sha256).hexdigest()

DEBUG = environment.flag(os.environ, "WATERMASTER_DEBUG", default=False)
ALLOWED_HOSTS = environment.names(os.environ, "ALLOWED_HOSTS", default="127.0.0.1,localhost,[::1]")
CSRF_TRUSTED_ORIGINS = environment.names(os.environ, "CSRF_TRUSTED_ORIGINS", default="")

# ── Planes ───────────────────────────────────────────────────────────────────────────────────────────
# The api process answers agents and carries neither sessions nor CSRF nor messages; the console process
# answers people. `config.wsgi_api` and `config.wsgi_console` choose.
PLANE = os.environ.get("WATERMASTER_PLANE", "console")
API_PORT = int(os.environ.get("API_PORT", "7878"))
# How long a caller of the api may take to send a request; answering takes two seconds at most.
API_REQUEST_SECONDS = int(os.environ.get("API_REQUEST_SECONDS", "10"))
CONSOLE_PORT = int(os.environ.get("CONSOLE_PORT", "8000"))
# Where people look things up; the api plane names it when it refuses.
CONSOLE_URL = os.environ.get("CONSOLE_URL", f"http://127.0.0.1:{CONSOLE_PORT}")

URLCONFS = {"api": "config.urls_api", "console": "config.urls_console"}
ROOT_URLCONF = URLCONFS[PLANE]
MIDDLEWARE = installed.MIDDLEWARES[PLANE]
WSGI_APPLICATION = f"config.wsgi_{PLANE}.application"

# ── Apps and tenancy ─────────────────────────────────────────────────────────────────────────────────
SHARED_APPS, TENANT_APPS = installed.shared_apps(PLANE), list(installed.TENANT_APPS)
INSTALLED_APPS = installed.all_apps(PLANE)

TENANT_MODEL = "tenants.Tenant"
TENANT_DOMAIN_MODEL = "tenants.Domain"
PUBLIC_SCHEMA_NAME = "public"
# Without it every cursor costs one more round trip for SET search_path.
TENANT_LIMIT_SET_CALLS = True
DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]
TEST_RUNNER = "django.test.runner.DiscoverRunner"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# ── Servers ──────────────────────────────────────────────────────────────────────────────────────────
EMBEDDED_SERVERS = _servers.embedded
# `default` is what api, console and workers use: a role that owns nothing, and in a tenant's schema that tenant's own.
# `owner` runs migrations and provisioning. No tenant table is ever read through `owner` by a request.
DATABASES = {
    "default": environment.database(
        _servers.runtime_database_url,
        startup={
            "role": "watermaster_app",
            "lock_timeout": "2s",
            "statement_timeout": "5s",
            "idle_in_transaction_session_timeout": "10s",
        },
    )
    | {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True, "TAKES_ROLES": True},
    "owner": environment.database(_servers.owner_database_url, startup={"lock_timeout": "10s"})
    | {"TEST": {"MIRROR": "default"}},
}
REDIS_URL = _servers.redis_url
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "wm",
        "KEY_FUNCTION": "kernel.cache_keys.tenant_key",
        "OPTIONS": {"socket_connect_timeout": 0.5, "socket_timeout": 0.5},
    },
    # What one process counts for itself while Valkey is away.
    "process": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "KEY_FUNCTION": "kernel.cache_keys.tenant_key",
    },
}

# ── Secrets of tenants ───────────────────────────────────────────────────────────────────────────────
# How their stores are reached. What is not set up is leased to nobody; a local run has files.
CREDENTIALS = credentials.credential_options(
    os.environ, local_folder=VAR_DIR / "credentials" if EMBEDDED_SERVERS is not None else None
)

# ── Background work ──────────────────────────────────────────────────────────────────────────────────
CELERY_BROKER_URL = environment.celery_broker_url(REDIS_URL)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
# A task may run twice and never gets lost: each is written to be repeated safely.
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 3600, "global_keyprefix": "celery:"}
# The schedule is in the code, so beat keeps no file: one that is half written, or locked, would only stop it.
CELERY_BEAT_SCHEDULER = "celery.beat:Scheduler"
CELERY_TIMEZONE = "UTC"

# ── Watching ─────────────────────────────────────────────────────────────────────────────────────────
# Where the processes of one machine show each other what they counted. It may be lost.
METRICS_DIR = Path(os.environ.get("METRICS_DIR") or VAR_DIR / "metrics")
# Who bears it may read /metrics from anywhere; without it only callers on this machine may.
METRICS_TOKEN = os.environ.get("METRICS_TOKEN", "")
# Tenants as a label: a series for each of them, so only where they are few.
METRICS_TENANTS = environment.flag(os.environ, "METRICS_TENANTS", default=False)
# Where the worker answers for its own metrics; 0 for nowhere.
WORKER_METRICS_PORT = int(os.environ.get("WORKER_METRICS_PORT") or API_PORT + 1)
WORKER_METRICS_HOST = os.environ.get("WORKER_METRICS_HOST", "127.0.0.1")
# A collector of OpenTelemetry, for traces; and of those that no caller has sampled, how many.
TRACES_ENDPOINT = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "")
TRACES_RATIO = environment.share(os.environ, "TRACES_RATIO", default=1.0)
# JSON for machines; where the servers are embedded somebody sits before the terminal.
_is_local = EMBEDDED_SERVERS is not None
LOG_FORMAT = environment.choice(os.environ, "LOG_FORMAT", among=LOG_FORMATS, default="text" if _is_local else "json")
LOG_LEVEL = environment.choice(os.environ, "LOG_LEVEL", among=LOG_LEVELS, default="warning" if _is_local else "info")
# Which decisions get a line: off, refused or all. Some in a second; the metrics count them all.
LOG_DECISIONS = environment.choice(os.environ, "LOG_DECISIONS", among=("off", "refused", "all"), default="refused")

# ── Requests and pages ───────────────────────────────────────────────────────────────────────────────
REST_FRAMEWORK, SPECTACULAR_SETTINGS = api_description.REST_FRAMEWORK, api_description.SPECTACULAR_SETTINGS
TEMPLATES, SECURE_CSP = pages.TEMPLATES, pages.SECURE_CSP
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
# A local run serves files from where they lie; an image collects them, hashed and compressed.
STATIC_ROOT = os.environ.get("WATERMASTER_STATIC_ROOT") or None
_static_is_collected = STATIC_ROOT is not None
WHITENOISE_USE_FINDERS = not _static_is_collected
STORAGES = {
    "staticfiles": {
        "BACKEND": (
            "whitenoise.storage.CompressedManifestStaticFilesStorage"
            if _static_is_collected
            else "django.contrib.staticfiles.storage.StaticFilesStorage"
        )
    }
}

# ── Webhooks ─────────────────────────────────────────────────────────────────────────────────────────
# Receivers are public addresses behind TLS. For those of one's own: plain HTTP, and networks as 10.1.0.0/16.
WEBHOOK_ALLOW_HTTP = environment.flag(os.environ, "WEBHOOK_ALLOW_HTTP", default=False)
WEBHOOK_OPEN_NETWORKS = environment.names(os.environ, "WEBHOOK_OPEN_NETWORKS", default="")

# ── Sign-in ──────────────────────────────────────────────────────────────────────────────────────────
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["accounts.backend.PeopleBackend"]
LOGIN_URL = "accounts:sign_in"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "accounts:sign_in"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
# Length and a list of common ones, no rules about signs and digits.
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ("email",)},
    },
]
# Behind TLS these three are on; a first run on 127.0.0.1 has none.
IS_BEHIND_TLS = environment.flag(os.environ, "WATERMASTER_TLS", default=False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = IS_BEHIND_TLS
# A browser takes a cookie named __Host- only over TLS, for this host alone and for all of its paths.
_cookie_prefix = "__Host-" if IS_BEHIND_TLS else "watermaster-"
SESSION_COOKIE_NAME = f"{_cookie_prefix}session"
CSRF_COOKIE_NAME = f"{_cookie_prefix}csrf"
THEME_COOKIE_NAME = f"{_cookie_prefix}theme"
CSRF_COOKIE_HTTPONLY = True
# Lax, not Strict: the address in a denial is opened from chats and tickets, and must find the reader signed in.
# Nothing changes by GET, and every form carries a CSRF token.
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 8 * 3600
SESSION_IDLE_SECONDS = 30 * 60
SECURE_SSL_REDIRECT = IS_BEHIND_TLS
# Load balancers ask without TLS.
SECURE_REDIRECT_EXEMPT = [r"^(healthz|readyz)$"]
SECURE_HSTS_SECONDS = 31_536_000 if IS_BEHIND_TLS else 0
# Whether subdomains and browsers' preload lists join in is for the owner of the domain to say.
# Without a mail server nothing is mailed, on purpose: links are handed over.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021", "mail.E001"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if IS_BEHIND_TLS else None
# Whether operators' pages stay closed to an operator without a second factor.
OPERATOR_SECOND_FACTOR_IS_REQUIRED = sign_in.operator_second_factor_is_required(
    os.environ, is_local=EMBEDDED_SERVERS is not None and not IS_BEHIND_TLS
)
ACCOUNT_ADAPTER = "accounts.console.adapters.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
# Addresses come from invitations and from the command line, never from the person who types them.
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_REAUTHENTICATION_TIMEOUT = 5 * 60
# The first step is counted by `accounts.services.sign_in_attempts`, which goes on while Valkey is away.
ACCOUNT_RATE_LIMITS = {"login": None}
MFA_ADAPTER = "accounts.console.adapters.MfaAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
# Browsers take http for localhost alone, so without TLS there is no other origin to fear.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not IS_BEHIND_TLS
MFA_TOTP_ISSUER = "Watermaster"
# A telephone's clock may be half a minute off.
MFA_TOTP_TOLERANCE = 1
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_ALLOW_UNVERIFIED_EMAIL = True
SOCIALACCOUNT_ADAPTER = "accounts.console.adapters.SocialAdapter"
SOCIALACCOUNT_EMAIL_AUTHENTICATION = True
# A link, not a form: a form may lead to this host only (form-action), and the provider is elsewhere.
SOCIALACCOUNT_LOGIN_ON_GET = True
SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": sign_in.identity_providers(os.environ)}}

# ── Files ────────────────────────────────────────────────────────────────────────────────────────────
# None touches the disk: a file that is handed in is measured, read and kept in its tenant's schema.
FILE_UPLOAD_HANDLERS = ["kernel.pages.uploads.BoundedUpload"]
FILE_UPLOAD_MAX_MEMORY_SIZE = 4 * 1024 * 1024

# ── Evidence ─────────────────────────────────────────────────────────────────────────────────────────
# For so many days spans are kept; after four, of traces without a failure or a leak only so many of a hundred.
EVIDENCE_DAYS = int(os.environ.get("EVIDENCE_DAYS", "30"))
EVIDENCE_SAMPLE_PERCENT = int(os.environ.get("EVIDENCE_SAMPLE_PERCENT", "100"))

# ── How long rows are kept ───────────────────────────────────────────────────────────────────────────
# Nothing old is dropped that is not in a file of this folder first; without one nothing is. It should outlive the
# machine, so only a local run has one that nobody named.
LOCAL_ARCHIVE_DIR = str(VAR_DIR / "archive") if EMBEDDED_SERVERS is not None else ""
ARCHIVE_DIR = os.environ.get("ARCHIVE_DIR", "") or LOCAL_ARCHIVE_DIR
# In days, for tenants whose plan and own terms say nothing else; `forever` keeps them.
KEEP_DECISIONS_DAYS = environment.days(os.environ, "KEEP_DECISIONS_DAYS", default="180")
KEEP_EVENTS_DAYS = environment.days(os.environ, "KEEP_EVENTS_DAYS", default="90")
KEEP_LEDGER_DAYS = environment.days(os.environ, "KEEP_LEDGER_DAYS", default="forever")
KEEP_AUDIT_DAYS = environment.days(os.environ, "KEEP_AUDIT_DAYS", default="forever")

# ── Mail ─────────────────────────────────────────────────────────────────────────────────────────────
MAILERS = {"default": sign_in.mail_server(os.environ)}
# Whether invitations are mailed, else their link is shown once, to be handed over; and whether somebody who forgot
# their password can have a link to a new one, which lives as long as this.
SENDS_MAIL = bool(os.environ.get("EMAIL_URL"))
PASSWORD_RESET_TIMEOUT = 3600
DEFAULT_FROM_EMAIL = SERVER_EMAIL = os.environ.get("EMAIL_FROM", "watermaster@localhost")

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
USE_I18N = False

# ── Alerts ───────────────────────────────────────────────────────────────────────────────────────────
# The kinds of channels by which a tenant's people may have themselves told; mail needs EMAIL_URL too.
ALERT_CHANNELS = environment.names(os.environ, "ALERT_CHANNELS", default="email,slack,webhook")

# Last, because it removes from every line what is secret above.
LOGGING = logging_config(
    log_format=LOG_FORMAT,
    level=LOG_LEVEL.upper(),
    plane=PLANE,
    known_secrets=environment.secrets_among(
        [WATERMASTER_SECRET, *WATERMASTER_SECRET_FALLBACKS, SECRET_KEY, METRICS_TOKEN],
        urls=[_servers.runtime_database_url, _servers.owner_database_url, REDIS_URL, os.environ.get("EMAIL_URL", "")],
        documents=[SOCIALACCOUNT_PROVIDERS],
    ),
)
