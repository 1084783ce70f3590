"""What the environment says, turned into values that the settings use."""

import os
import secrets
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from django.core.exceptions import ImproperlyConfigured

from kernel.embedded import Layout
from kernel.embedded.valkey import DATABASES as VALKEY_DATABASES

# In a checkout this file is platform/config/environment.py; in an installed wheel, config/environment.py.
_SOURCE_ROOT = Path(__file__).resolve().parents[1]
IS_CHECKOUT = _SOURCE_ROOT.name == "platform"
BASE_DIR = _SOURCE_ROOT.parent if IS_CHECKOUT else _SOURCE_ROOT

SECRET_LENGTH_MIN = 32
#: A hundred years.
DAYS_MAX = 36_525


@dataclass(frozen=True, slots=True)
class Servers:
    """The addresses of PostgreSQL and Valkey; `embedded` tells whether they are ours to start."""

    runtime_database_url: str
    owner_database_url: str
    redis_url: str
    embedded: Layout | None


def var_folder(environ: Mapping[str, str]) -> Path:
    """Where local data lives: `WATERMASTER_VAR`, else `var/` of the checkout or of the working folder."""
    if folder := environ.get("WATERMASTER_VAR"):
        return Path(folder).resolve()
    return (BASE_DIR if IS_CHECKOUT else Path.cwd()) / "var"


def servers(environ: Mapping[str, str]) -> Servers:
    """The servers that are named in the environment, else the embedded ones.

    Raises `ImproperlyConfigured` when only one of the two is named: half a set-up is a mistake.
    """
    database_url, redis_url = environ.get("DATABASE_URL", ""), environ.get("REDIS_URL", "")
    if bool(database_url) != bool(redis_url):
        raise ImproperlyConfigured("Set DATABASE_URL and REDIS_URL together, or neither to use the embedded servers.")
    if database_url:
        return Servers(
            runtime_database_url=database_url,
            owner_database_url=environ.get("DATABASE_OWNER_URL", "") or database_url,
            redis_url=redis_url,
            embedded=None,
        )
    layout = Layout(var_folder(environ))
    return Servers(
        runtime_database_url=layout.database_url(user="watermaster_runtime"),
        owner_database_url=layout.database_url(user="watermaster_owner"),
        redis_url=layout.redis_url + _database_part(environ.get("VALKEY_DATABASE", "")),
        embedded=layout,
    )


def _database_part(number: str) -> str:
    if not number:
        return ""
    if not (number.isdecimal() and number.isascii() and len(number) < 9 and int(number) < VALKEY_DATABASES):
        raise ImproperlyConfigured(f"VALKEY_DATABASE is the number of a database, from 0 to {VALKEY_DATABASES - 1}.")
    return f"?db={int(number)}"


def database(url: str, *, startup: Mapping[str, str]) -> dict[str, Any]:
    """Django's entry for a ``postgresql://`` URL; `startup` are server settings of every session."""
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise ImproperlyConfigured("A database URL begins with postgresql://, so this one is not understood.")
    parameters = dict(parse_qsl(parts.query))
    host = parameters.pop("host", None) or unquote(parts.hostname or "")
    port = parameters.pop("port", None) or (str(parts.port) if parts.port else "")
    options = " ".join(f"-c {name}={value}" for name, value in startup.items())
    return {
        "ENGINE": "kernel.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": host,
        "PORT": port,
        "OPTIONS": {"application_name": "watermaster", **parameters, "options": options},
    }


def celery_broker_url(redis_url: str) -> str:
    """The same server in Celery's spelling, which names a socket's scheme and database differently."""
    if not redis_url.startswith("unix://"):
        return redis_url
    path, _, parameters = redis_url.removeprefix("unix://").partition("?")
    named = [("virtual_host" if name == "db" else name, value) for name, value in parse_qsl(parameters)]
    return f"redis+socket://{path}" + (f"?{urlencode(named)}" if named else "")


def root_secret(environ: Mapping[str, str], *, var: Path) -> str:
    """`WATERMASTER_SECRET`, else one made once and kept in `var/secret`, readable by its user alone."""
    if secret := environ.get("WATERMASTER_SECRET", ""):
        if len(secret) < SECRET_LENGTH_MIN:
            raise ImproperlyConfigured(f"WATERMASTER_SECRET needs at least {SECRET_LENGTH_MIN} characters.")
        return secret
    path = var / "secret"
    if not path.exists():
        _write_once(path, secrets.token_urlsafe(48))
    return path.read_text().strip()


def _write_once(path: Path, text: str) -> None:
    """Let the first of several processes win, and let nobody read half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=".secret-")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        Path(draft).unlink()


def flag(environ: Mapping[str, str], name: str, *, default: bool) -> bool:
    """A yes-or-no variable; raises `ImproperlyConfigured` for anything else."""
    value = environ.get(name, "").strip().lower()
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off"}:
        return False
    if value == "":
        return default
    raise ImproperlyConfigured(f"{name} is yes or no, so {value!r} is not understood.")


def names(environ: Mapping[str, str], name: str, *, default: str) -> list[str]:
    """A list of comma-separated names."""
    return [part.strip() for part in environ.get(name, default).split(",") if part.strip()]


def share(environ: Mapping[str, str], name: str, *, default: float) -> float:
    """A number from 0 to 1; raises `ImproperlyConfigured` for anything else."""
    text = environ.get(name, "").strip()
    try:
        value = float(text) if text else default
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise ImproperlyConfigured(f"{name} is from 0 to 1, so {text!r} is not understood.")
    return value


def days(environ: Mapping[str, str], name: str, *, default: str) -> int | None:
    """A number of days from 1 on, None for `forever`; raises `ImproperlyConfigured` for anything else."""
    text = environ.get(name, "").strip() or default
    if text == "forever":
        return None
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= DAYS_MAX:
        raise ImproperlyConfigured(f"{name} is a number of days, or forever, so {text!r} is not understood.")
    return int(text)


def choice(environ: Mapping[str, str], name: str, *, among: Sequence[str], default: str) -> str:
    """One of several words, in either case; raises `ImproperlyConfigured` for anything else."""
    value = environ.get(name, "").strip().lower() or default
    if value not in among:
        raise ImproperlyConfigured(f"{name} is {', '.join(among[:-1])} or {among[-1]}, so {value!r} is not understood.")
    return value


def secrets_among(values: Sequence[str], *, urls: Sequence[str], documents: Sequence[Any]) -> list[str]:
    """What must never be written down: these values, the passwords of these addresses, what documents call `secret`."""
    found = [*values, *(_password_of(url) for url in urls), *(each for one in documents for each in _secrets_in(one))]
    return sorted({each for each in found if each}, key=len, reverse=True)


def _password_of(url: str) -> str:
    return unquote(urlsplit(url).password or "") if url else ""


def _secrets_in(document: Any) -> Iterator[str]:
    if isinstance(document, Mapping):
        for name, value in document.items():
            if name == "secret" and isinstance(value, str):
                yield value
            yield from _secrets_in(value)
    elif isinstance(document, list):
        for each in document:
            yield from _secrets_in(each)
