"""The scene: two tenants that know each other's names, and one of them tries everything on the other.

The other is `acme`, with its day of traffic and something of every kind; `initech` is the foe, with good keys and
sessions of its own. Each module has a scene of its own: what the foe is told to name, it may read later as its own.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from django.test import Client
from pytest_django import DjangoDbBlocker

from kernel.tenancy import in_public
from tenants.models import LedgerCheck, Tenant
from tests.plugins.servers import ROOT
from tests.support.books import Books
from tests.support.console import proved_lately
from tests.support.console_scene import Reader, Scene, demo_scene, samples_of
from tests.support.foe.operations import Plane, description
from tests.support.foe.things import Things, things_of
from tests.support.foe.victim import Fingerprint, Victim, secrets_of
from tests.support.management import Caller, tenant_key
from tests.support.owner import as_owner


@dataclass(frozen=True, slots=True)
class Feud:
    """`theirs` are the victim's things and `own` the foe's; `secrets` are texts of the victim that no answer holds."""

    scene: Scene
    theirs: Things
    own: Things
    secrets: frozenset[str]
    foe: Caller
    victim: Caller
    browser: Client


@pytest.fixture(scope="module")
def feud(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Feud]:
    with pytest.MonkeyPatch.context() as patch, django_db_blocker.unblock():
        patch.setattr("django.conf.settings.PASSWORD_HASHERS", ["tests.support.hashing.QuickArgon2PasswordHasher"])
        with demo_scene(tmp_path_factory.mktemp("scene")) as scene:
            victim, foe = scene.acme, scene.initech
            theirs = things_of(victim, scene.samples, books=Books(victim))
            own = things_of(foe, samples_of(foe), books=Books(foe))
            _let_nothing_wait(victim, foe)
            callers = [Caller(token=tenant_key(tenant).token) for tenant in (foe, victim)]
            yield Feud(
                scene=scene,
                theirs=theirs,
                own=own,
                secrets=secrets_of(victim, foe=foe, published=_published()),
                foe=callers[0],
                victim=callers[1],
                browser=proved_lately(scene.browser(Reader.NEIGHBOUR)),
            )


def _published() -> str:
    """What everybody may read: the descriptions of the APIs, and what pages say to each reader."""
    sources = [*ROOT.glob("templates/**/*.html"), *ROOT.glob("*/console/*.py"), *ROOT.glob("platform/*/console/*.py")]
    described = [json.dumps(description(plane)) for plane in Plane]
    return "\n".join([*described, *(source.read_text() for source in sources)])


def _let_nothing_wait(*tenants: Tenant) -> None:
    """So that a worker's visit to one of them tells nobody outside, and has nobody else's books checked."""
    now = datetime.now(UTC)
    for tenant in tenants:
        as_owner(tenant.tag, "DELETE FROM alert_channel" if tenant.slug == "initech" else "SELECT 1")
        with in_public():
            LedgerCheck.objects.update_or_create(
                tag=tenant.tag, defaults={"checked_at": now, "sealed_seq": 0, "seal_hash": ""}
            )


@pytest.fixture(scope="module")
def victim(feud: Feud) -> Iterator[Victim]:
    """After all that was tried, what the victim consists of is the same to the last byte."""
    victim = Victim(feud.theirs.tenant)
    before = victim.content()
    yield victim
    after = victim.content()
    victim.close()
    assert before.changes(after) == []


@pytest.fixture(scope="module")
def last_seen(victim: Victim) -> list[Fingerprint]:
    return [victim.writes()]


@pytest.fixture(autouse=True)
def untouched(database: None, victim: Victim, last_seen: list[Fingerprint]) -> Iterator[None]:
    """In no test was anything of the victim's written."""
    yield
    before, last_seen[0] = last_seen[0], victim.writes()
    assert before.changes(last_seen[0]) == []
