import re
from collections.abc import Callable
from uuid import UUID

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from kernel.ids import (
    PLATFORM_TAG,
    Tag,
    WirePrefix,
    mint_tag,
    mint_wire_id,
    parse_tag,
    parse_wire_id,
    schema_name,
    uuid7,
)

ACME = Tag("a" * 20)
INITECH = Tag("b" * 20)
ROW = UUID("01890a5d-ac96-774b-bcce-b302099a8057")


class TestUuid7:
    def test_carries_the_milliseconds_version_and_variant(self) -> None:
        made = uuid7(now_ns=1_700_000_000_123_000_000)

        assert made.int >> 80 == 1_700_000_000_123
        assert made.version == 7
        assert made.variant == "specified in RFC 4122"

    def test_orders_ids_of_one_millisecond_by_their_fraction(self) -> None:
        first = uuid7(now_ns=1_700_000_000_123_000_000)
        later = uuid7(now_ns=1_700_000_000_123_000_250)
        last = uuid7(now_ns=1_700_000_000_123_999_999)
        next_ms = uuid7(now_ns=1_700_000_000_124_000_000)

        assert first < later < last < next_ms

    def test_does_not_repeat_at_the_same_instant(self) -> None:
        assert len({uuid7(now_ns=1) for _ in range(10_000)}) == 10_000

    def test_reads_the_clock_when_it_is_given_no_time(self) -> None:
        assert uuid7() < uuid7(now_ns=2_000_000_000_000_000_000_0)


class TestTag:
    def test_a_new_tag_has_the_shape_of_a_tag(self) -> None:
        tag = mint_tag()

        assert parse_tag(tag) == tag
        assert schema_name(tag) == f"t_{tag}"
        assert mint_tag() != tag

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "a" * 19,
            "a" * 21,
            "a" * 19 + "1",
            "a" * 19 + "A",
            "a" * 20 + "\n",
            "а" * 20,  # Cyrillic
            "a" * 19 + '"',
            "a" * 18 + "; ",
            "public",
            "$user",
            "pg_catalogaaaaaaaaaa",
        ],
    )
    def test_nothing_else_passes_as_a_tag_or_reaches_a_schema_name(self, text: str) -> None:
        assert parse_tag(text) is None
        with pytest.raises(ValueError, match="not a tenant's tag"):
            schema_name(Tag(text))

    def test_the_platform_has_no_tenant_schema(self) -> None:
        assert parse_tag(PLATFORM_TAG) == PLATFORM_TAG
        with pytest.raises(ValueError, match="not a tenant's tag"):
            schema_name(PLATFORM_TAG)


class TestWireId:
    def test_is_read_back_as_it_was_made(self) -> None:
        text = mint_wire_id("rsv", ACME, ROW)

        wire_id = parse_wire_id("rsv", text)

        assert re.fullmatch(r"rsv_a{20}_[0-9a-f]{48}", text)
        assert wire_id is not None
        assert (wire_id.tag, wire_id.uuid) == (ACME, ROW)

    def test_fits_the_contracts_length(self) -> None:
        assert len(mint_wire_id("evt", ACME, uuid7())) <= 128

    @pytest.mark.parametrize("prefix", ["evt", "dec"])
    def test_is_not_taken_for_an_id_of_another_kind(self, prefix: WirePrefix) -> None:
        text = mint_wire_id("rsv", ACME, ROW)

        assert parse_wire_id(prefix, text) is None
        assert parse_wire_id(prefix, text.replace("rsv", prefix)) is None

    def test_of_one_tenant_cannot_be_rewritten_to_another(self) -> None:
        assert parse_wire_id("rsv", mint_wire_id("rsv", ACME, ROW).replace(ACME, INITECH)) is None

    @given(st.data())
    def test_with_one_character_changed_is_unknown(self, data: st.DataObject) -> None:
        text = mint_wire_id("rsv", ACME, ROW)
        at = data.draw(st.integers(0, len(text) - 1))
        other = data.draw(st.characters().filter(lambda character: character != text[at]))

        assert parse_wire_id("rsv", text[:at] + other + text[at + 1 :]) is None

    @given(st.text())
    def test_is_not_found_in_any_text(self, text: str) -> None:
        assert parse_wire_id("rsv", text) is None

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda text: text[:-1],
            lambda text: text + "0",
            lambda text: text + "\n",
            lambda text: " " + text,
            lambda text: text.upper(),
            lambda text: text + "\x00",
            lambda text: text.replace("0", "\uff10"),
            lambda text: text * 0,
        ],
    )
    def test_must_match_to_the_letter(self, spoil: Callable[[str], str]) -> None:
        assert parse_wire_id("rsv", spoil(mint_wire_id("rsv", ACME, ROW))) is None

    def test_of_an_older_secret_is_accepted_while_that_secret_is_a_fallback(self) -> None:
        with override_settings(WATERMASTER_SECRET="o" * 32, WATERMASTER_SECRET_FALLBACKS=[]):
            old = mint_wire_id("rsv", ACME, ROW)
        with override_settings(WATERMASTER_SECRET="n" * 32, WATERMASTER_SECRET_FALLBACKS=["x" * 32, "o" * 32]):
            assert parse_wire_id("rsv", old) is not None
            assert mint_wire_id("rsv", ACME, ROW) != old
        with override_settings(WATERMASTER_SECRET="n" * 32, WATERMASTER_SECRET_FALLBACKS=[]):
            assert parse_wire_id("rsv", old) is None

    def test_needs_a_secret_of_some_length(self) -> None:
        with (
            override_settings(WATERMASTER_SECRET="s" * 31),
            pytest.raises(ImproperlyConfigured, match="32 characters"),
        ):
            mint_wire_id("rsv", ACME, ROW)
