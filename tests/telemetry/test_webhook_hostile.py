"""Receivers and secrets that are meant to do harm."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from django.db import connections

from telemetry.services.webhooks.checks import InvalidWebhook
from telemetry.services.webhooks.delivering import OWNER_MAX, Visit
from tenants.services.webhook_visits import deliver, hand_out_events
from tests.support.webhook_receiver import Received, Sink
from tests.support.webhooks import Hooks


class TestSecret:
    @pytest.mark.parametrize("length", [25, 29])
    def test_that_is_no_base64_is_refused_before_it_stops_the_worker(self, hooks: Hooks, length: int) -> None:
        with pytest.raises(InvalidWebhook):
            hooks.subscribe("https://hooks.invalid/", secret="whsec_" + "A" * length)

    @pytest.mark.parametrize("length", [24, 26, 27, 28])
    def test_that_is_base64_is_taken_with_or_without_its_end(self, hooks: Hooks, length: int) -> None:
        hooks.subscribe("https://hooks.invalid/", secret="whsec_" + "A" * length)


class TestSilence:
    def test_is_remembered_when_nothing_is_tried_again(self, hooks: Hooks) -> None:
        """Else each event of it holds a thread of those that are for receivers who answer."""
        silent = hooks.subscribe("http://127.0.0.1:9/", retry={"max_retries": 0}, disable_after_failures=1_000)
        hooks.happen("budget.funded")

        hooks.visit()

        assert hooks.again(silent).quiet_until is not None


class TestSlowness:
    def test_of_one_owners_receivers_leaves_threads_to_the_others(self, hooks: Hooks, sink: Sink) -> None:
        """They answer in the end, so nothing speaks against them."""
        ids = [hooks.subscribe(sink.url).pk for _ in range(OWNER_MAX + 3)]
        hooks.happen("budget.funded")
        assert set(hand_out_events(tag=hooks.owner.tag, has_time=lambda: True)) == set(ids)
        answered: list[str] = []
        at_once: list[int] = []

        def answer(received: Received) -> int:
            at_once.append(len(sink.received) - len(answered))
            answered.append(received.path)
            return 204

        sink.answer, sink.delay_s = answer, 0.5

        def work(subscription_id: UUID) -> Visit:
            try:
                return deliver(tag=hooks.owner.tag, subscription_id=subscription_id, has_time=lambda: True)
            finally:
                connections.close_all()

        with ThreadPoolExecutor(len(ids)) as threads:
            visits = list(threads.map(work, ids))

        assert max(at_once) <= OWNER_MAX
        assert {visit.next_at is None for visit in visits if visit.delivered} == {True}
        assert all(visit.next_at is not None for visit in visits if not visit.delivered)
        hooks.visit()
        assert len(sink.received) == len(ids)
