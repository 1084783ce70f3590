"""Secrets are planted in every store, leased, looked at, failed on; then every log, span, table and queue is searched.

The api and the worker are processes of their own that log and trace all they can.
"""

import base64
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast
from uuid import uuid4

import httpx
import hvac  # type: ignore[import-untyped]
import psutil
import pytest
import redis
from django.conf import settings
from django.db import connections
from django.test import Client
from psycopg import sql

from accounts.models import OperatorRole
from config.celery import app
from kernel.owner import acting_as_owner
from kernel.tenancy import in_tenant
from telemetry.models import AuditEntry
from tenants.models import Tenant
from tests.plugins.live_api import free_port, run_database, start_api, stop_api
from tests.plugins.servers import ROOT
from tests.support.books import TEST_ACTOR, Books
from tests.support.bursts import until
from tests.support.collector import GATHERING, Collector, collector
from tests.support.console import person, signed_in
from tests.support.processes import environment
from tests.vault.conftest import BaoServer
from tests.vault.test_leasing import decided, lease, reason
from vault.kinds import OPERATOR_BACK_ENDS, BackEnd
from vault.locations import Location
from vault.models import CredentialReference, Health
from vault.services.reference_checks import NewReference
from vault.services.references import add_reference, revoke_reference

pytestmark = pytest.mark.slow

_LOOKED_AT_SECONDS_MAX: Final = 60.0
_SPANS: Final = ("admit", "vault.check_references_of_tenant")


def planted() -> str:
    return f"canary-{uuid4().hex}"


@dataclass(frozen=True, slots=True)
class Scene:
    """`canaries` by where they lie; `output` is what the api and the worker have printed."""

    books: Books
    url: str
    canaries: dict[str, str]
    queue: str
    spans: Collector
    outputs: tuple[Path, Path]
    processes: tuple[int, int]


@pytest.fixture
def scene(acme: Tenant, bao: hvac.Client, bao_server: BaoServer, tmp_path: Path) -> Iterator[Scene]:
    stack = ExitStack()
    canaries = {name: planted() for name in ("kv", "unused", "nested", "file", "variable", "store")}
    _plant(bao, acme, tmp_path, canaries)
    token = bao.auth.token.create(id=canaries["store"], policies=["root"])["auth"]["client_token"]
    assert token == canaries["store"]
    queue = f"test-{uuid4().hex}"
    spans = stack.enter_context(collector())
    more = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": spans.address,
        **GATHERING,
        "VAULT_ADDR": bao_server.address,
        "VAULT_TOKEN": token,
        "CREDENTIALS_FOLDER": str(tmp_path),
        f"CREDENTIAL_{acme.tag.upper()}_SLACK": canaries["variable"],
        "LOG_LEVEL": "debug",
        "TEST_QUEUE": queue,
        "WORKER_METRICS_PORT": "0",
    }
    outputs = (tmp_path / "api.log", tmp_path / "worker.log")
    port = free_port()
    api = start_api(port, output=outputs[0], servers=run_database() | more)
    worker = _start_worker(environment(**more), queue, outputs[1])
    books = Books(acme)
    books.add_budget(allocated=10**9)
    try:
        yield Scene(
            books=books,
            url=f"http://127.0.0.1:{port}",
            canaries=canaries,
            queue=queue,
            spans=spans,
            outputs=outputs,
            processes=(api.pid, worker.pid),
        )
    finally:
        stop_api(api)
        stop_api(worker)
        stack.close()


def test_no_log_no_table_and_no_queue_holds_a_secret(scene: Scene, database: None) -> None:
    leased = _use_everything(scene)
    # Of the api's decision and of the worker's task.
    until(lambda: all(name in scene.spans.text() for name in _SPANS), seconds=_LOOKED_AT_SECONDS_MAX)

    # What was planted was really there, and really handed out.
    assert leased == {scene.canaries[name] for name in ("kv", "file", "variable")}
    places: dict[str, Callable[[], str]] = {
        "the api's log": lambda: scene.outputs[0].read_text(errors="replace"),
        "the worker's log": lambda: scene.outputs[1].read_text(errors="replace"),
        "the spans": scene.spans.text,
        "the tables": lambda: _tables(scene.books.tenant),
        "Valkey": _valkey,
        "the arguments of the processes": lambda: _arguments(scene.processes),
        "the pages": _pages,
    }
    texts = {name: read() for name, read in places.items()}
    assert all(texts.values()), [name for name, text in texts.items() if not text]
    assert "credential.leased" in texts["the tables"]
    found = [
        (place, name)
        for place, text in texts.items()
        for name, canary in scene.canaries.items()
        if any(form in text for form in _forms(canary))
    ]
    assert found == []


def _plant(bao: hvac.Client, tenant: Tenant, folder: Path, canaries: dict[str, str]) -> None:
    keep = bao.secrets.kv.v2.create_or_update_secret
    keep(f"wm/{tenant.tag}/slack", {"token": canaries["kv"], "other": canaries["unused"]})
    keep(f"wm/{tenant.tag}/nested", {"token": {"inner": canaries["nested"]}})
    own = folder / "wm" / tenant.tag
    own.mkdir(parents=True)
    (own / "slack").write_text(canaries["file"])


def _use_everything(scene: Scene) -> set[str]:
    """Leases that succeed and that fail, looks by the worker, acts; the secrets that were handed out."""
    books, url = scene.books, scene.url
    wanted = {
        "kv": (BackEnd.KV, Location(path="wm/{tenant}/slack", key="token")),
        "field": (BackEnd.KV, Location(path="wm/{tenant}/slack", key="nothing")),
        "nested": (BackEnd.KV, Location(path="wm/{tenant}/nested")),
        "file": (BackEnd.FILE, Location(path="wm/{tenant}/slack")),
        "variable": (BackEnd.ENVIRONMENT, Location(path="CREDENTIAL_{tenant}_SLACK")),
        "gone": (BackEnd.KV, Location(path="wm/{tenant}/gone")),
    }
    references: dict[str, CredentialReference] = {}
    with in_tenant(books.tenant.tag):
        for name, (back_end, location) in wanted.items():
            new = NewReference(name=name, provider="slack", scope=f"slack:{name}", back_end=back_end, location=location)
            references[name] = add_reference(new, allowed=OPERATOR_BACK_ENDS, actor=TEST_ACTOR, now=datetime.now(UTC))
    decision_id = decided(url, books)
    answers = {name: lease(url, books, decision_id, f"slack:{name}") for name in wanted}
    assert {name: reason(answer) for name, answer in answers.items() if answer.status_code != 200} == {
        "field": (502, "CREDENTIAL_NOT_THERE"),
        "nested": (503, "CREDENTIAL_GARBAGE"),
        "gone": (502, "CREDENTIAL_NOT_THERE"),
    }
    for body in ({"scope": "slack:kv"}, {"scope": "slack:kv", "decision_id": decision_id, "x": 1}):
        httpx.post(
            f"{url}/v1/x-watermaster/credentials/lease", json=body, headers={"X-Cycles-API-Key": books.key.token}
        )
    _look_by_worker(scene)
    with in_tenant(books.tenant.tag):
        revoke_reference(reference_id=references["kv"].pk, actor=TEST_ACTOR, now=datetime.now(UTC))
        assert AuditEntry.objects.filter(action="credential.leased").count() == 3
    assert lease(url, books, decision_id, "slack:kv").status_code == 404
    for path, name, status in (("renew", "file", 200), ("renew", "kv", 404), ("give-back", "variable", 200)):
        answer = httpx.post(
            f"{url}/v1/x-watermaster/credentials/{path}",
            json={"lease_id": answers[name].json()["lease_id"]},
            headers={"X-Cycles-API-Key": books.key.token},
        )
        assert answer.status_code == status, answer.text
    return {
        value for answer in answers.values() if answer.status_code == 200 for value in answer.json()["values"].values()
    }


def _look_by_worker(scene: Scene) -> None:
    """Have the worker look at every reference, by a message on its own queue."""
    tag = scene.books.tenant.tag
    with in_tenant(tag):
        CredentialReference.objects.update(checked_at=None, health=Health.UNKNOWN)
    options = dict(app.conf.broker_transport_options) | {"global_keyprefix": f"{scene.queue}:"}
    with app.connection_for_write(transport_options=options) as connection:
        app.send_task(
            "vault.check_references_of_tenant",
            kwargs={"tag": tag},
            queue=scene.queue,
            connection=connection,
            producer=app.amqp.Producer(connection),
        )

    def is_over() -> bool:
        with in_tenant(tag):
            return not CredentialReference.objects.filter(checked_at=None).exists()

    until(is_over, seconds=_LOOKED_AT_SECONDS_MAX)


def _start_worker(variables: dict[str, str], queue: str, output: Path) -> "subprocess.Popen[bytes]":
    with output.open("wb") as log:
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "celery", "--quiet", "-A", "tests.support.celery_app", "worker"),
                *(f"--queues={queue}", "--pool=threads", "--concurrency=2", "--without-gossip", "--without-mingle"),
                "--loglevel=debug",
            ],
            cwd=ROOT,
            env=variables,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def _tables(tenant: Tenant) -> str:
    """Every row of the shared schema and of the tenant's, as text."""
    parts: list[str] = []
    with acting_as_owner(), connections["default"].cursor() as cursor:
        cursor.execute(
            "SELECT n.nspname, c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
            " WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname = ANY (%s)",
            [["public", tenant.schema_name]],
        )
        for schema, table in cursor.fetchall():
            rows = sql.SQL("SELECT coalesce(string_agg(t::text, chr(10)), '') FROM {} AS t")
            cursor.execute(cast("Any", rows.format(sql.Identifier(schema, table))))
            parts.append(f"{table}\n{cursor.fetchone()[0]}")
    return "\n".join(parts)


def _valkey() -> str:
    """Every key and what is under it."""
    client = redis.Redis.from_url(settings.REDIS_URL)
    readers: dict[Any, Callable[[Any], Any]] = {
        b"string": client.get,
        b"list": lambda key: client.lrange(key, 0, -1),
        b"hash": client.hgetall,
        b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1),
        b"stream": client.xrange,
    }
    return "\n".join(repr((key, readers[client.type(key)](key))) for key in client.scan_iter() if client.exists(key))


def _arguments(pids: tuple[int, ...]) -> str:
    return "\n".join(" ".join(psutil.Process(pid).cmdline()) for pid in pids)


def _pages() -> str:
    with person("olive", OperatorRole.OWNER) as user:
        browser: Client = signed_in(user)
        addresses = ("/ops/credentials/", "/ops/tenants/acme/credentials/", "/ops/tenants/acme/audit/")
        return "\n".join(browser.get(address).content.decode() for address in addresses)


def _forms(canary: str) -> tuple[str, ...]:
    """As it is, and as a column of bytes or a message would have it."""
    return canary, canary.encode().hex(), base64.b64encode(canary.encode()).decode().rstrip("=")[:-2]
