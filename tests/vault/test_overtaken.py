"""What becomes of a lease when its grounds go while its store is asked: nobody gets it, and nothing of it lives on."""

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import pytest
from django.db import connections
from django.http import HttpResponse
from django.test import RequestFactory
from pytest_django import Settings

from budgets.api.runtime.leases import LeaseView
from budgets.models import Reservation
from kernel.ids import mint_wire_id
from kernel.tenancy import in_tenant
from telemetry.models import AuditEntry
from tenants.models import Tenant
from tests.support.books import TEST_ACTOR, Books
from tests.support.bursts import until
from vault.backends.options import CredentialOptions, OpenBaoOptions
from vault.kinds import OPERATOR_BACK_ENDS, BackEnd
from vault.locations import Location
from vault.models import CredentialReference
from vault.services.reference_checks import NewReference
from vault.services.references import add_reference, revoke_reference

SECRET: Final = "made-for-this-lease"
LEASE_ID: Final = "database/creds/x/abcdef"


class Store:
    """Signs everybody in, and makes a login for each lease; `meanwhile` happens before it answers."""

    def __init__(self) -> None:
        self.meanwhile: Callable[[], None] = lambda: None
        self.given_back: list[str] = []
        store = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path.startswith("/v1/auth/"):
                    self._say({"data": {"ttl": 0, "renewable": False}})
                    return
                store.meanwhile()
                connections.close_all()
                self._say({"data": {"username": "u", "password": SECRET}, "lease_duration": 300, "lease_id": LEASE_ID})

            def do_PUT(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                store.given_back.append(body["lease_id"])
                self._say({})

            def _say(self, answer: dict[str, Any]) -> None:
                body = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    store = Store()
    threading.Thread(target=store.server.serve_forever, args=(0.02,), daemon=True).start()
    address = f"http://127.0.0.1:{store.server.server_port}"
    settings.CREDENTIALS = CredentialOptions(openbao=OpenBaoOptions(address=address, token="t"))
    yield store
    store.server.shutdown()
    store.server.server_close()


@pytest.fixture
def books(acme: Tenant) -> Books:
    books = Books(acme)
    books.add_budget(allocated=10**9)
    return books


@pytest.fixture
def reference(books: Books) -> CredentialReference:
    new = NewReference(
        name="Orders",
        provider="orders",
        scope="orders:read",
        back_end=BackEnd.DYNAMIC,
        location=Location(path="database/creds/{tenant}-reader"),
    )
    with in_tenant(books.tenant.tag):
        return add_reference(new, allowed=OPERATOR_BACK_ENDS, actor=TEST_ACTOR, now=datetime.now(UTC))


def lease(books: Books) -> HttpResponse:
    held = books.ask("reserve", amount=1)
    assert held.status == "OK"
    body = {"scope": "orders:read", "decision_id": mint_wire_id("dec", books.tenant.tag, held.id)}
    request = RequestFactory().post(
        "/lease", json.dumps(body), content_type="application/json", HTTP_X_CYCLES_API_KEY=books.key.token
    )
    answer = LeaseView.as_view()(request)
    assert isinstance(answer, HttpResponse)
    return answer


def leases_written(books: Books) -> int:
    with in_tenant(books.tenant.tag):
        return AuditEntry.objects.filter(action="credential.leased").count()


def test_a_lease_that_nothing_overtakes_is_kept(books: Books, reference: CredentialReference, store: Store) -> None:
    answer = lease(books)

    assert json.loads(answer.content)["values"] == {"username": "u", "password": SECRET}
    assert store.given_back == []
    assert leases_written(books) == 1


def test_what_was_made_for_a_reference_that_was_revoked_meanwhile_is_given_back(
    books: Books, reference: CredentialReference, store: Store
) -> None:
    def revoke() -> None:
        with in_tenant(books.tenant.tag):
            revoke_reference(reference_id=reference.pk, actor=TEST_ACTOR, now=datetime.now(UTC))

    store.meanwhile = revoke

    answer = lease(books)

    assert answer.status_code == 404
    assert SECRET.encode() not in answer.content
    until(lambda: store.given_back == [LEASE_ID])
    assert leases_written(books) == 0


def test_what_was_made_for_a_decision_that_ended_meanwhile_is_given_back(
    books: Books, reference: CredentialReference, store: Store
) -> None:
    def release() -> None:
        with in_tenant(books.tenant.tag):
            held = Reservation.objects.get(status="ACTIVE")
        assert books.ask("release", target=held.pk).status == "OK"

    store.meanwhile = release

    answer = lease(books)

    assert answer.status_code == 410
    assert SECRET.encode() not in answer.content
    until(lambda: store.given_back == [LEASE_ID])
    assert leases_written(books) == 0


def test_no_lease_is_given_that_has_ended_already(books: Books, reference: CredentialReference, store: Store) -> None:
    def expire() -> None:
        with in_tenant(books.tenant.tag):
            CredentialReference.objects.update(expires_at=datetime.now(UTC) - timedelta(milliseconds=1))

    store.meanwhile = expire

    assert lease(books).status_code == 403
    until(lambda: store.given_back == [LEASE_ID])
