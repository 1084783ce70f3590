"""Asking, and what leaving the block does."""

import time

import pytest

from tests.conftest import KEY, QUICK
from tests.fake_server import ADMIT, OWN, SETTLE, TOOLS, FakeServer, Reply, admission, denial, refusal
from watermaster_client import Action, Amount, ApiError, Denied, Unavailable, Watermaster, WatermasterError

COMPLETION: Action = {"kind": "llm.completion", "name": "openai:gpt-4o-mini"}
USAGE = {"prompt_tokens": 10, "completion_tokens": 5}


class TestAdmit:
    def test_sends_the_key_the_subject_and_the_question(self, wm: Watermaster, server: FakeServer) -> None:
        with wm.admit(
            subject={"agent": "writer"},
            action=COMPLETION,
            request={"input_tokens": 9},
            run={"run_id": "r1"},
            priority="low",
        ):
            pass

        call = server.to(ADMIT)[0]
        assert call.headers["X-Cycles-API-Key"] == KEY
        assert len(call.body.pop("idempotency_key")) == 32
        assert call.body == {
            "subject": {"workspace": "prod", "agent": "writer"},
            "action": COMPLETION,
            "request": {"input_tokens": 9},
            "run": {"run_id": "r1"},
            "priority": "low",
            "ttl_ms": 60_000,
        }

    def test_gives_route_caps_timeouts_and_isolation(self, wm: Watermaster, server: FakeServer) -> None:
        answer = admission(
            decision="ALLOW_WITH_CAPS",
            route={"tier": "small", "provider": "openai", "model": "gpt-4o-mini", "is_degraded": True},
            caps={"max_tokens": 300, "tool_denylist": ["wire_money"]},
            timeouts={"total_ms": 9000, "tools": {"search": 3000}},
            limits_left={"iterations": 4},
            a_field_of_tomorrow={"x": 1},
        )
        server.then(ADMIT, Reply(body=answer))

        act = wm.admit(action=COMPLETION)

        assert act.route is not None
        assert (str(act.route), act.route.tier, act.route.is_degraded) == ("openai:gpt-4o-mini", "small", True)
        assert (act.caps.trim(None), act.caps.trim(200), act.caps.trim(400)) == (300, 200, 300)
        assert (act.caps.permits_tool("search"), act.caps.permits_tool("wire_money")) == (True, False)
        assert (act.timeouts.total_ms, act.timeouts.tools, act.timeouts.model_ms) == (9000, {"search": 3000}, None)
        assert (act.isolation.cache_key_prefix, act.limits_left.iterations) == (OWN["cache_key_prefix"], 4)

    def test_raises_a_denial_with_its_reasons_and_the_way_out(self, wm: Watermaster, server: FakeServer) -> None:
        end = {"code": "MAX_ITERATIONS_REACHED", "fallback": "escalate"}
        server.then(ADMIT, Reply(body=denial("MAX_ITERATIONS_REACHED", give_up=end)))

        with pytest.raises(Denied, match=r"Refused: MAX_ITERATIONS_REACHED\.") as denied:
            wm.admit(action=COMPLETION)

        assert denied.value.codes == {"MAX_ITERATIONS_REACHED"}
        assert denied.value.reasons[0].numbers == {"remaining": 0}
        assert (denied.value.fallback, denied.value.decision_id) == ("escalate", "dec_1")

    def test_returns_a_denial_where_that_is_asked_for(self, wm: Watermaster, server: FakeServer) -> None:
        server.then(ADMIT, Reply(body=denial("BUDGET_EXCEEDED")))

        with wm.admit(action=COMPLETION, raise_on_deny=False) as act:
            assert act.is_denied
            assert act.settle(USAGE).status == "UNHELD"

        assert [call.path for call in server.calls] == [ADMIT]

    def test_takes_a_rate_limit_for_the_denial_that_it_is(self, wm: Watermaster, server: FakeServer) -> None:
        details = {"reason_code": "RATE_LIMITED", "bucket": "tenant_requests", "reset_ms": 7000}
        body = {"error": "LIMIT_EXCEEDED", "message": "Slower.", "request_id": "r", "details": details}
        server.then(ADMIT, Reply(429, body, {"Retry-After": "7"}))

        with pytest.raises(Denied, match=r"Slower\.") as denied:
            wm.admit(action=COMPLETION)

        assert denied.value.codes == {"RATE_LIMITED"}
        assert denied.value.reasons[0].numbers == details
        assert denied.value.retry_after_s == 7
        assert len(server.calls) == 1

    def test_raises_the_refusal_of_a_bad_request_at_once(self, wm: Watermaster, server: FakeServer) -> None:
        server.then(ADMIT, refusal(400, "INVALID_REQUEST", "subject is empty.", field="subject"))

        with pytest.raises(ApiError, match=r"400 INVALID_REQUEST: subject is empty\.") as refused:
            wm.admit(action=COMPLETION)

        assert (refused.value.request_id, refused.value.details) == ("req_1", {"field": "subject"})
        assert len(server.calls) == 1

    def test_refuses_an_address_that_is_none(self) -> None:
        with pytest.raises(ValueError, match="http://"):
            Watermaster("127.0.0.1:7878", KEY, use_outbox=False)


class TestTheBlock:
    def test_gives_the_hold_back_without_a_settle(self, wm: Watermaster, server: FakeServer) -> None:
        with wm.admit(action=COMPLETION) as act:
            pass

        call = server.to("/v1/reservations/rsv_1/release")[0]
        assert call.body == {"idempotency_key": act.idempotency_key, "reason": "left without a settle"}

    def test_gives_the_hold_back_on_an_exception_and_lets_it_pass(self, wm: Watermaster, server: FakeServer) -> None:
        with pytest.raises(ZeroDivisionError), wm.admit(action=COMPLETION):
            1 / 0  # noqa: B018

        assert server.to("/v1/reservations/rsv_1/release")[0].body["reason"] == "ZeroDivisionError"

    def test_lets_the_exception_pass_though_the_release_fails(self, wm: Watermaster, server: FakeServer) -> None:
        server.always("/v1/reservations/rsv_1/release", refusal(410, "RESERVATION_EXPIRED"))

        with pytest.raises(ZeroDivisionError), wm.admit(action=COMPLETION):
            1 / 0  # noqa: B018

    def test_books_the_cost_and_gives_nothing_back(self, wm: Watermaster, server: FakeServer) -> None:
        with wm.admit(action=COMPLETION) as act:
            settlement = act.settle(USAGE, latency_ms=12)

        assert (settlement.status, settlement.charged and settlement.charged.amount) == ("COMMITTED", 400)
        assert [call.path for call in server.calls] == [ADMIT, SETTLE]
        assert server.to(SETTLE)[0].body == {
            "idempotency_key": act.idempotency_key,
            "reservation_id": "rsv_1",
            "usage": USAGE,
            "latency_ms": 12,
        }

    def test_keeps_the_hold_where_the_settle_was_refused(self, wm: Watermaster, server: FakeServer) -> None:
        server.then(SETTLE, refusal(400, "INVALID_REQUEST"))

        with pytest.raises(ApiError), wm.admit(action=COMPLETION) as act:
            act.settle({})

        assert [call.path for call in server.calls] == [ADMIT, SETTLE]

    @pytest.mark.parametrize(("amount", "booked"), [(None, 500), (0, 0), (12, 12)])
    def test_books_an_amount_where_there_is_no_usage(
        self, wm: Watermaster, server: FakeServer, amount: int | None, booked: int
    ) -> None:
        with wm.admit(action={"kind": "tool.call", "name": "search"}) as act:
            settlement = act.commit(amount)

        assert settlement.charged == Amount("USD_MICROCENTS", booked)
        assert [call.path for call in server.calls] == [ADMIT, "/v1/reservations/rsv_1/commit"]
        assert server.calls[1].body == {
            "idempotency_key": act.idempotency_key,
            "actual": {"unit": "USD_MICROCENTS", "amount": booked},
        }

    def test_settles_once(self, wm: Watermaster) -> None:
        with wm.admit(action=COMPLETION) as act:
            act.settle(USAGE)
            with pytest.raises(WatermasterError, match="settled already"):
                act.settle(USAGE)


class TestRetries:
    @pytest.mark.parametrize("failure", [Reply(503), Reply(502), Reply(500), Reply(429), Reply(drop=True)])
    def test_send_the_same_key_again(self, wm: Watermaster, server: FakeServer, failure: Reply) -> None:
        server.then(ADMIT, failure, failure)

        act = wm.admit(action=COMPLETION)

        assert [call.body["idempotency_key"] for call in server.to(ADMIT)] == [act.idempotency_key] * 3

    def test_end_after_as_many_as_are_allowed(self, wm: Watermaster, server: FakeServer) -> None:
        server.always(ADMIT, Reply(503))

        with pytest.raises(Unavailable):
            wm.admit(action=COMPLETION)

        assert len(server.calls) == QUICK.attempts_max

    def test_wait_as_long_as_the_server_says(self, wm: Watermaster, server: FakeServer) -> None:
        server.then(ADMIT, Reply(503, headers={"Retry-After": "0"}))

        wm.admit(action=COMPLETION)

        assert len(server.calls) == 2

    def test_do_not_wait_longer_than_they_may(self, wm: Watermaster, server: FakeServer) -> None:
        server.then(ADMIT, Reply(503, headers={"Retry-After": "1"}))

        with pytest.raises(Unavailable) as failure:
            wm.admit(action=COMPLETION)

        assert (failure.value.retry_after_s, len(server.calls)) == (1, 1)

    def test_take_a_page_of_a_proxy_for_no_answer(self, wm: Watermaster, server: FakeServer) -> None:
        server.then(ADMIT, Reply(body={"html": "Sign in to this network."}))

        assert wm.admit(action=COMPLETION).decision_id == "dec_1"

        assert len(server.to(ADMIT)) == 2

    def test_say_who_did_not_answer(self, wm: Watermaster, server: FakeServer) -> None:
        server.go_away()
        try:
            with pytest.raises(Unavailable, match="did not answer"):
                wm.admit(action=COMPLETION)
        finally:
            server.come_back()


class TestHeartbeat:
    def test_extends_the_hold_of_a_long_call(self, wm: Watermaster, server: FakeServer) -> None:
        with wm.admit(action=COMPLETION, ttl_ms=100) as act:
            time.sleep(0.26)
            act.settle(USAGE)
        beats = server.to("/v1/reservations/rsv_1/extend")
        time.sleep(0.1)

        assert 3 <= len(beats) <= 5
        assert {beat.body["extend_by_ms"] for beat in beats} == {100}
        assert len({beat.body["idempotency_key"] for beat in beats}) == len(beats)
        assert server.to("/v1/reservations/rsv_1/extend") == beats

    def test_watches_each_call_by_itself(self, wm: Watermaster, server: FakeServer) -> None:
        with wm.admit(action=COMPLETION), wm.admit(action=COMPLETION, ttl_ms=100):
            time.sleep(0.08)

        assert [call.path for call in server.calls if call.path.endswith("extend")] == ["/v1/reservations/rsv_2/extend"]

    def test_ends_with_the_block_though_the_hold_is_left_unsettled(self, wm: Watermaster, server: FakeServer) -> None:
        with wm.admit(action=COMPLETION, ttl_ms=100) as act:
            act.leave_unsettled()
        time.sleep(0.15)

        assert [call.path for call in server.calls] == [ADMIT]

    def test_leaves_a_hold_that_cannot_be_extended(self, wm: Watermaster, server: FakeServer) -> None:
        server.always("/v1/reservations/rsv_1/extend", refusal(409, "MAX_EXTENSIONS_EXCEEDED"))

        with wm.admit(action=COMPLETION, ttl_ms=40) as act:
            time.sleep(0.1)
            assert act.settle(USAGE).status == "COMMITTED"

        assert len(server.to("/v1/reservations/rsv_1/extend")) == 1


class TestTools:
    def test_gives_back_what_may_be_shown(self, wm: Watermaster, server: FakeServer) -> None:
        search, wire = ({"type": "function", "function": {"name": name}} for name in ("search", "wire_money"))
        server.then(
            TOOLS, Reply(body={"tools": [search], "tool_choice": "auto", "gated": ["search"], "policy_version": 3})
        )

        listed = wm.tools([search, wire], tool_choice={"type": "function", "function": {"name": "wire_money"}})

        assert (listed.tools, listed.tool_choice, listed.gated) == ([search], "auto", ["search"])
        assert server.calls[0].body["tools"] == [search, wire]
