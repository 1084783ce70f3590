import json
import sys
import time
from io import BytesIO
from typing import Annotated, Any

import msgspec
import pytest
from django.core.handlers.wsgi import WSGIRequest
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Meta, UnsetType

from kernel.http.errors import ProtocolError
from kernel.http.json_body import BODY_BYTES_MAX, decode, read_json_body

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


class Part(msgspec.Struct, forbid_unknown_fields=True):
    names: Annotated[list[Annotated[str, Meta(max_length=3)]], Meta(max_length=2)] | UnsetType = UNSET
    counts: dict[Annotated[str, Meta(max_length=3)], int] | UnsetType = UNSET


class Body(msgspec.Struct, forbid_unknown_fields=True):
    amount: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    word: Annotated[str, Meta(min_length=1)] | UnsetType = UNSET
    is_dry: bool = False
    part: Part | UnsetType = UNSET
    free: dict[str, Any] | UnsetType = UNSET


def refusal_of(raw: bytes) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        decode(raw, Body)
    return caught.value


def message_of(raw: bytes) -> str:
    refusal = refusal_of(raw)
    assert (refusal.status, refusal.code) == (400, "INVALID_REQUEST")
    return refusal.message


class TestMoney:
    """H1"""

    @pytest.mark.parametrize(
        ("written", "amount"),
        [
            (b"0", 0),
            (b"-0", 0),
            (b"1", 1),
            (b"9007199254740993", 2**53 + 1),
            (b"9223372036854775807", 2**63 - 1),
        ],
    )
    def test_an_integer_up_to_2_to_the_63_minus_1_is_read_exactly(self, written: bytes, amount: int) -> None:
        assert decode(b'{"amount":%s}' % written, Body).amount == amount

    @pytest.mark.parametrize(
        ("written", "message"),
        [
            (b"-1", "amount must be at least 0."),
            (b"9223372036854775808", "amount must be at most 9223372036854775807."),
            (b"18446744073709551616", "amount must be at most 9223372036854775807."),
            (b"1" + b"0" * 400, "amount must be at most 9223372036854775807."),
            (b"1" * 4300, "amount must be at most 9223372036854775807."),
            (b"1" * 4301, "amount holds a number that is too large."),
            (b"1" * 5000, "amount holds a number that is too large."),
            (b"1e3", "amount must be an integer, not a number with a fraction or an exponent."),
            (b"1.0", "amount must be an integer, not a number with a fraction or an exponent."),
            (b"-0.0", "amount must be an integer, not a number with a fraction or an exponent."),
            (b'"5"', "amount must be an integer, not a string."),
            (b"true", "amount must be an integer, not a boolean."),
            (b"null", "amount must be an integer, not null."),
            (b"[]", "amount must be an integer, not a list."),
            (b"{}", "amount must be an integer, not an object."),
        ],
    )
    def test_anything_else_is_refused(self, written: bytes, message: str) -> None:
        assert message_of(b'{"amount":%s}' % written) == message

    @pytest.mark.parametrize("written", [b"1e400", b"-1e400"])
    def test_a_float_beyond_all_bounds_is_refused_even_in_free_data(self, written: bytes) -> None:
        assert "too large" in message_of(b'{"amount":1,"free":{"a":%s}}' % written)
        assert "too large" in message_of(b'{"amount":%s}' % written)

    @pytest.mark.parametrize("written", [b"NaN", b"Infinity", b"-Infinity", b"nan", b"01", b"+1", b"1.", b".5"])
    def test_what_is_no_json_number_is_malformed(self, written: bytes) -> None:
        assert "not well-formed JSON near byte" in message_of(b'{"amount":%s}' % written)
        assert "not well-formed JSON near byte" in message_of(b'{"amount":1,"free":{"a":%s}}' % written)

    def test_a_number_is_no_boolean(self) -> None:
        assert message_of(b'{"amount":1,"is_dry":1}') == "is_dry must be true or false, not an integer."


class TestKeys:
    """H3 and mass assignment"""

    @pytest.mark.parametrize(
        ("raw", "path"),
        [
            (b'{"amount":1,"amount":1}', "amount"),
            (b'{"amount":1,"am\\u006funt":2}', "amount"),
            (b'{"amount":1,"part":{"counts":{"a":1,"a":1}}}', "part.counts.a"),
            (b'{"amount":1,"free":{"a":[0,{"b":1,"b":2}]}}', "free.a[1].b"),
            (b'{"amount":1,"free":{"a":"v",":b":1,":b":2}}', "free[...]"),
            (b'{"amount":1,"free":{"":1,"":2}}', "free[...]"),
        ],
    )
    def test_a_key_given_twice_is_refused_at_every_depth(self, raw: bytes, path: str) -> None:
        refusal = refusal_of(raw)

        assert refusal.message == f"{path} is given twice. Keep one."
        assert refusal.details == {"field": path}

    def test_the_same_key_in_two_objects_is_fine(self) -> None:
        raw = b'{"amount":1,"free":{"amount":2,"a":{"amount":3},"b":[{"amount":4},{"amount":5}]}}'

        assert decode(raw, Body).free == json.loads(raw)["free"]

    def test_an_unknown_field_is_named(self) -> None:
        assert message_of(b'{"amount":1,"spent":2}') == ("spent is not a field of this request; remove it.")
        assert message_of(b'{"amount":1,"part":{"spent":2}}') == (
            "part.spent is not a field of this request; remove it."
        )

    @pytest.mark.parametrize("name", ["wm_live_" + "a" * 60, "two words", "", "<b>", "naïve", "a`b"])
    def test_an_unknown_field_that_may_be_a_secret_is_not_repeated(self, name: str) -> None:
        raw = json.dumps({"amount": 1, name: 2}).encode()

        assert message_of(raw) == "The body has a field that is not part of this request; remove it."

    def test_a_missing_field_is_named(self) -> None:
        assert message_of(b"{}") == "amount is missing."

    @given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), min_size=1), st.data())
    def test_any_repeated_key_of_any_spelling_is_found(self, free: dict[str, Any], data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(free)))
        pairs = [f"{json.dumps(k)}:{json.dumps(v)}" for k, v in free.items()]
        pairs.insert(data.draw(st.integers(0, len(pairs))), f"{json.dumps(key)}:0")
        raw = f'{{"amount":1,"free":{{{",".join(pairs)}}}}}'.encode()

        assert refusal_of(raw).status == 400


class TestText:
    """H4"""

    @pytest.mark.parametrize(
        ("raw", "path"),
        [
            (rb'{"amount":1,"word":"a\u0000b"}', "word"),
            (rb'{"amount":1,"free":{"a":["x",{"b":"\u0000"}]}}', "free.a[1].b"),
            (rb'{"amount":1,"free":{"\u0000":1}}', "free[...]"),
        ],
    )
    def test_a_nul_is_refused_by_name(self, raw: bytes, path: str) -> None:
        assert message_of(raw) == f"{path} holds a NUL character. Remove it."

    def test_a_backslash_before_u0000_is_ordinary_text(self) -> None:
        assert decode(rb'{"amount":1,"word":"\\u0000"}', Body).word == "\\u0000"

    @pytest.mark.parametrize(
        "string",
        [
            rb'"\ud800"',
            rb'"\udc00"',
            rb'"\ud800\ud800"',
            rb'"\udc00\ud800"',
            rb'"\ud800x"',
            b'"\xed\xa0\x80"',
            b'"\xff"',
            b'"\x00"',
            b'"\x1f"',
            b'"\n"',
        ],
    )
    def test_a_lone_surrogate_and_a_raw_control_character_are_malformed(self, string: bytes) -> None:
        for raw in (b'{"amount":1,"word":%s}', b'{"amount":1,"free":{"a":%s}}', b'{"amount":1,"free":{%s:1}}'):
            assert refusal_of(raw % string).status == 400

    @pytest.mark.parametrize("text", ["😀", "\u202eabc", "a\u200db", "é", "e\u0301", "\u2028", "İ"])
    def test_all_other_text_comes_through_as_it_is(self, text: str) -> None:
        for ascii_only in (True, False):
            raw = json.dumps({"amount": 1, "word": text}, ensure_ascii=ascii_only).encode()

            assert decode(raw, Body).word == text


class TestSize:
    """H5, H6, H7"""

    def test_too_many_entries_and_too_long_ones_are_named(self) -> None:
        assert message_of(b'{"amount":1,"word":""}') == "word must have at least 1 characters."
        assert message_of(b'{"amount":1,"part":{"names":["a","abcd"]}}') == (
            "part.names[1] must have at most 3 characters."
        )
        assert message_of(b'{"amount":1,"part":{"names":["a","b","c"]}}') == ("part.names must have at most 2 entries.")
        assert message_of(b'{"amount":1,"part":{"counts":{"abcd":1}}}') == (
            "part.counts has a key that must have at most 3 characters."
        )

    @pytest.mark.parametrize("opening", [b"[", b'{"a":'])
    @pytest.mark.parametrize("levels", [100, 5_000, 40_000])
    def test_deep_nesting_is_refused_whether_closed_or_not(self, opening: bytes, levels: int) -> None:
        closing = b"]" if opening == b"[" else b"}"
        closed = b'{"amount":1,"free":{"a":%s1%s}}' % (opening * levels, closing * levels)
        unclosed = b'{"amount":1,"free":{"a":%s' % (opening * levels)

        if len(closed) < BODY_BYTES_MAX:
            assert message_of(closed) == "The body is nested more than 32 levels deep."
        if len(unclosed) < BODY_BYTES_MAX:
            assert refusal_of(unclosed).status == 400

    def test_thirty_two_levels_are_the_last(self) -> None:
        def nested(levels: int) -> bytes:
            # Two levels are the body and `free`.
            return b'{"amount":1,"free":{"a":%s%s}}' % (b"[" * (levels - 2), b"]" * (levels - 2))

        decode(nested(32), Body)
        assert "32 levels" in message_of(nested(33))

    def test_many_brackets_are_not_depth(self) -> None:
        raw = b'{"amount":1,"free":{"a":[%s{}],"b":"[[[[{{{{\\"[[[["}}' % (b"{}," * 100)

        assert decode(raw, Body).amount == 1

    @pytest.mark.parametrize(
        "raw", [b'"\\"' * 80_000, b'"\\"' * 80_000 + b"\\", b'"' * 250_000], ids=["escaped", "half escaped", "quotes"]
    )
    def test_a_string_that_never_ends_costs_no_more_than_its_bytes(self, raw: bytes) -> None:
        started = time.process_time()

        assert refusal_of(b"[" * 40 + raw).status == 400
        assert time.process_time() - started < 1

    def test_ten_thousands_of_keys_cost_no_more_than_their_bytes(self) -> None:
        keys = b",".join(b'"%d":0' % number for number in range(20_000))
        started = time.process_time()

        decode(b'{"amount":1,"free":{%s}}' % keys, Body)
        assert "NUL" in message_of(b'{"amount":1,"free":{%s,"z":"\\u0000"}}' % keys)
        assert "twice" in message_of(b'{"amount":1,"free":{%s,"1":0}}' % keys)

        # Each takes some 20 ms; anything that grows with the square takes ten seconds.
        assert time.process_time() - started < 3

    def test_a_body_of_256_kib_is_the_largest(self) -> None:
        frame = len(b'{"amount":1,"free":{"a":""}}')
        largest = b'{"amount":1,"free":{"a":"%s"}}' % (b"x" * (BODY_BYTES_MAX - frame))

        assert decode(largest, Body).amount == 1
        assert refusal_of(largest + b" ").status == 413


class TestShape:
    """H10"""

    @pytest.mark.parametrize(
        ("raw", "message"),
        [
            (b"[]", "The body must be an object, not a list."),
            (b'"x"', "The body must be an object, not a string."),
            (b"null", "The body must be an object, not null."),
            (b"1", "The body must be an object, not an integer."),
            (b"\xef\xbb\xbf{}", "The body begins with a byte order mark. Send UTF-8 without one."),
            (b'{"word":"\xff"}', "The body is not UTF-8."),
            (b'{"amount":1} x', "The body is not well-formed JSON near byte 14."),
            (b'{"amount":1}{}', "The body is not well-formed JSON near byte 13."),
            (b'{"amount":1}\x00', "The body is not well-formed JSON near byte 13."),
            (b'{"amount":1,}', "The body is not well-formed JSON near byte 12."),
            (b"{'amount':1}", "The body is not well-formed JSON near byte 1."),
            (b'{"amount":1', "The body is not well-formed JSON."),
            (b"   ", "The body is not well-formed JSON."),
            (b"// x\n{}", "The body is not well-formed JSON near byte 0."),
        ],
    )
    def test_only_one_json_object_and_nothing_after_it(self, raw: bytes, message: str) -> None:
        assert message_of(raw) == message

    @pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
    def test_no_other_encoding_is_guessed(self, encoding: str) -> None:
        assert refusal_of('{"amount":1}'.encode(encoding)).status == 400

    def test_white_space_around_it_is_fine(self) -> None:
        assert decode(b' \r\n\t{"amount" : 1 }\n', Body).amount == 1

    @given(st.binary(max_size=200))
    def test_no_bytes_make_it_fail_otherwise(self, raw: bytes) -> None:
        with pytest.raises(ProtocolError):
            decode(raw, Body)

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
            max_leaves=15,
        )
    )
    def test_free_data_is_read_as_it_was_written(self, free: object) -> None:
        raw = json.dumps({"amount": 1, "free": {"a": free}}).encode()
        assert decode(raw, Body).free == {"a": free}

    @given(
        secret=st.text("abcdefghijklmnop0123456789", min_size=12),
        field=st.sampled_from(["amount", "is_dry", "part", "free"]),
    )
    def test_a_refusal_never_quotes_the_value(self, secret: str, field: str) -> None:
        refusal = refusal_of(json.dumps({"amount": 1} | {field: secret}).encode())

        assert secret not in refusal.message
        assert secret not in str(refusal.details)
        assert refusal.__cause__ is None


def post(raw: bytes, *, content_type: str = "application/json", **headers: str) -> WSGIRequest:
    request = RequestFactory().generic("POST", "/", raw, content_type=content_type)
    request.META.update(headers)
    return request


def status_of(request: WSGIRequest) -> int:
    with pytest.raises(ProtocolError) as caught:
        read_json_body(request)
    return caught.value.status


class TestReadJsonBody:
    @pytest.mark.parametrize(
        "content_type",
        [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json;charset=UTF-8",
            'application/json; charset="utf-8"',
            "application/json; charset=utf8",
            "application/json;",
        ],
    )
    def test_takes_json_in_utf_8(self, content_type: str) -> None:
        assert read_json_body(post(b"{}", content_type=content_type)) == b"{}"

    @pytest.mark.parametrize(
        "content_type",
        [
            "",
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/json; charset=utf-16",
            "application/json; charset=latin-1",
            "application/json; charset=utf-8; charset=utf-16",
            "application/jsonp",
            "application/vnd.api+json",
            "application/json, text/plain",
        ],
    )
    def test_takes_nothing_else(self, content_type: str) -> None:
        assert status_of(post(b"{}", content_type=content_type)) == 415

    @pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "identity, gzip"])
    def test_takes_nothing_compressed(self, coding: str) -> None:
        assert status_of(post(b"{}", HTTP_CONTENT_ENCODING=coding)) == 415

    def test_an_empty_body_is_400_whatever_its_type(self) -> None:
        assert status_of(post(b"")) == 400
        assert status_of(post(b"", content_type="")) == 400

    def test_a_body_without_a_length_is_411(self) -> None:
        request = post(b"{}", CONTENT_LENGTH="", HTTP_TRANSFER_ENCODING="chunked")

        assert status_of(request) == 411

    @pytest.mark.parametrize("announced", [str(BODY_BYTES_MAX + 1), "9" * 19, "9" * 5000])
    def test_too_large_a_body_is_413_before_a_byte_is_read(self, announced: str) -> None:
        request = post(b"{}", CONTENT_LENGTH=announced)
        unread = BytesIO(b"{}")
        request.environ["wsgi.input"] = unread

        assert status_of(request) == 413
        assert unread.tell() == 0

    def test_the_largest_body_is_read(self) -> None:
        assert len(read_json_body(post(b"x" * BODY_BYTES_MAX))) == BODY_BYTES_MAX

    def test_integers_have_a_limit_of_digits_at_all(self) -> None:
        # The refusals above stand on the interpreter's own limit; somebody could switch it off.
        assert sys.get_int_max_str_digits() == 4300
