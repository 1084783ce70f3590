"""What is forgotten, when, and what never before its time."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from budgets.services.evidence import keep_evidence
from kernel.archives import read_lines
from kernel.tenancy import in_tenant
from routing.services.evidence_visits import sweep_evidence, visit_evidence
from telemetry.evidence.models import Span
from telemetry.evidence.otlp.protobuf import read_protobuf
from telemetry.evidence.reading import Owner
from telemetry.evidence.selectors.rollups import sums_since
from telemetry.evidence.services import forgetting
from telemetry.evidence.services.forgetting import WHOLE_FOR, Keeping
from telemetry.findings.models import EvidenceStanding
from tenants.models import Tenant
from tests.support.books import TEST_ACTOR
from tests.support.owner import delete_shared
from tests.support.spans import request_of, span

HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, settings: Any) -> Path:
    settings.ARCHIVE_DIR = tmp_path
    return tmp_path


@pytest.fixture
def tenant(acme: Tenant) -> Iterator[Tenant]:
    yield acme
    delete_shared(EvidenceStanding.objects.filter(tag=acme.tag))


def keep(tenant: Tenant, *spans: Any, counts: bool = True) -> None:
    sent = read_protobuf(request_of(*spans).SerializeToString())
    keep_evidence(sent, owner=Owner(tag=tenant.tag, slug=tenant.slug), actor=TEST_ACTOR, now=datetime.now(UTC))
    if counts:
        soon = datetime.now(UTC) + HOUR
        visit_evidence(tag=tenant.tag, ends_at=soon, now=soon, has_time=lambda: True)


def sweep(tenant: Tenant, *, at: datetime, days: int = 30, percent: int = 100) -> list[str]:
    """What is left of the names."""
    keeping = Keeping(days=days, sample_percent=percent)
    sweep_evidence(tag=tenant.tag, keeping=keeping, now=at, has_time=lambda: True)
    with in_tenant(tenant.tag):
        return sorted(Span.objects.values_list("name", flat=True))


def plain(name: str, *, sampled: bool = False, **more: Any) -> Any:
    """A span of a trace that is in a sample of one in a hundred, or of none but the whole."""
    return span(name, trace_id=bytes(range(1, 13)) + (0 if sampled else 99).to_bytes(4), **more)


class TestOldSpans:
    def test_go_after_their_days_and_not_before(self, tenant: Tenant) -> None:
        keep(tenant, span("one"))

        assert sweep(tenant, at=datetime.now(UTC) + timedelta(days=30) - HOUR) == ["one"]
        assert sweep(tenant, at=datetime.now(UTC) + timedelta(days=30) + HOUR) == []

    def test_are_in_a_file_before_they_go(self, tenant: Tenant, folder: Path) -> None:
        keep(tenant, span("one"), span("two"))
        assert sweep(tenant, at=datetime.now(UTC) + timedelta(days=31)) == []

        (path,) = (folder / tenant.tag).glob("*")
        assert path.name == "spans-000001.jsonl.gz"
        assert sorted(json.loads(line)["name"] for line in read_lines(path)) == ["one", "two"]

    def test_stay_where_they_cannot_be_written(self, tenant: Tenant, folder: Path, settings: Any) -> None:
        (folder / "file").touch()
        settings.ARCHIVE_DIR = folder / "file"
        keep(tenant, span("one"))

        with pytest.raises(OSError, match="Not a directory"):
            sweep(tenant, at=datetime.now(UTC) + timedelta(days=31))
        with in_tenant(tenant.tag):
            assert Span.objects.count() == 1

    def test_keep_no_span_from_being_counted_where_they_cannot_be_written(
        self, tenant: Tenant, folder: Path, settings: Any
    ) -> None:
        keep(tenant, span("one"))
        keep(tenant, span("two"), counts=False)
        EvidenceStanding.objects.filter(tag=tenant.tag).update(due_at=None)
        settings.ARCHIVE_DIR = str(folder / "gone")

        with pytest.raises(OSError, match="is not there"):
            sweep(tenant, at=datetime.now(UTC) + timedelta(days=31))

        assert EvidenceStanding.objects.get(tag=tenant.tag).due_at is not None

    def test_are_neither_lost_nor_there_twice_after_a_kill(
        self, tenant: Tenant, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        keep(tenant, span("one"), span("two"), span("three"))
        with monkeypatch.context() as patch:
            patch.setattr(forgetting, "_drop", _killed)
            with pytest.raises(ZeroDivisionError):
                sweep(tenant, at=datetime.now(UTC) + timedelta(days=31))

        assert sweep(tenant, at=datetime.now(UTC) + timedelta(days=31)) == []

        names = [json.loads(line)["name"] for path in folder.rglob("*.gz") for line in read_lines(path)]
        assert sorted(names) == ["one", "three", "two"]

    def test_stay_in_the_sums(self, tenant: Tenant) -> None:
        keep(tenant, span("one", tool__name="refund"))
        sweep(tenant, at=datetime.now(UTC) + timedelta(days=31))

        with in_tenant(tenant.tag):
            assert [line.spans for line in sums_since(datetime.now(UTC) - HOUR, limit=5)] == [1]

    def test_are_kept_until_they_are_counted(self, tenant: Tenant) -> None:
        keep(tenant, span("one"), counts=False)

        assert sweep(tenant, at=datetime.now(UTC) + timedelta(days=31)) == ["one"]

    def test_are_kept_for_four_days_whatever_is_set(self, tenant: Tenant) -> None:
        keep(tenant, span("one"))

        assert sweep(tenant, at=datetime.now(UTC) + WHOLE_FOR - HOUR, days=0) == ["one"]


def _killed(*_: object) -> int:
    raise ZeroDivisionError


class TestSample:
    @pytest.mark.parametrize(("percent", "left"), [(0, []), (1, ["in"]), (99, ["in"]), (100, ["in", "out"])])
    def test_is_of_whole_traces(self, percent: int, left: list[str], tenant: Tenant) -> None:
        keep(tenant, plain("in", sampled=True))
        other = span("out", trace_id=bytes(range(1, 13)) + (99).to_bytes(4))
        keep(tenant, other)

        assert sweep(tenant, at=datetime.now(UTC) + WHOLE_FOR + HOUR, percent=percent) == left

    def test_never_drops_a_failure_or_a_leak_or_what_is_in_its_trace(self, tenant: Tenant) -> None:
        failed, leak = span("failed", is_error=True), span("leak", prompt_source_tenant="initech")
        keep(tenant, failed, span("beside it", trace_id=failed.trace_id), leak, span("around", trace_id=leak.trace_id))
        keep(tenant, plain("plain"))

        left = sweep(tenant, at=datetime.now(UTC) + WHOLE_FOR + HOUR, percent=0)

        assert left == ["around", "beside it", "failed", "leak"]

    def test_is_taken_only_of_what_is_old_enough(self, tenant: Tenant) -> None:
        keep(tenant, plain("plain"))

        assert sweep(tenant, at=datetime.now(UTC) + WHOLE_FOR - HOUR, percent=0) == ["plain"]
        assert sweep(tenant, at=datetime.now(UTC) + WHOLE_FOR + HOUR, percent=0) == []


def test_a_lost_note_is_found_by_the_sweep(tenant: Tenant) -> None:
    keep(tenant, span(), counts=False)
    EvidenceStanding.objects.filter(tag=tenant.tag).update(due_at=None)

    sweep(tenant, at=datetime.now(UTC))

    assert EvidenceStanding.objects.get(tag=tenant.tag).due_at is not None
