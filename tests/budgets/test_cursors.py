import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from budgets.api.cursors import mint_cursor, read_cursor
from kernel.http.errors import ProtocolError
from kernel.ids import Tag

ACME = Tag("a" * 20)
INITECH = Tag("b" * 20)
BINDING = b'["reservations","ACTIVE"]'
POSITION: list[str | int] = [1_767_225_600_000, "0190-row"]


def is_refused(cursor: str, *, tag: Tag = ACME, binding: bytes = BINDING) -> bool:
    try:
        read_cursor(cursor, tag=tag, binding=binding)
    except ProtocolError as refusal:
        return refusal.status == 400
    return False


class TestCursor:
    @given(st.lists(st.text() | st.integers(-(2**63), 2**63 - 1), max_size=3))
    def test_gives_its_position_back(self, position: list[str | int]) -> None:
        cursor = mint_cursor(position, tag=ACME, binding=BINDING)

        assert read_cursor(cursor, tag=ACME, binding=BINDING) == position

    def test_of_the_longest_scope_path_fits_a_query_string(self) -> None:
        longest = "/".join(f"workspace:{'n' * 128}" for _ in range(6))

        assert len(mint_cursor([longest, "x" * 128], tag=ACME, binding=BINDING)) < 1_500

    def test_opens_nothing_for_another_tenant_or_under_other_filters(self) -> None:
        cursor = mint_cursor(POSITION, tag=ACME, binding=BINDING)

        assert not is_refused(cursor)
        assert is_refused(cursor, tag=INITECH)
        assert is_refused(cursor, binding=b'["reservations","EXPIRED"]')
        assert is_refused(cursor, binding=b"")

    @given(st.data())
    def test_changed_in_one_character_is_refused(self, data: st.DataObject) -> None:
        cursor = mint_cursor(POSITION, tag=ACME, binding=BINDING)
        at = data.draw(st.integers(0, len(cursor) - 1))
        other = data.draw(st.characters().filter(lambda character: character != cursor[at]))

        assert is_refused(cursor[:at] + other + cursor[at + 1 :])

    def test_cut_off_at_any_place_is_refused(self) -> None:
        cursor = mint_cursor(POSITION, tag=ACME, binding=BINDING)

        assert all(is_refused(cursor[:end]) for end in range(len(cursor)))

    @pytest.mark.parametrize("extra", ["=", "A", "AAAA", "\n", " ", "!"])
    def test_has_one_spelling(self, extra: str) -> None:
        cursor = mint_cursor(POSITION, tag=ACME, binding=BINDING)

        assert is_refused(cursor + extra)
        assert is_refused(extra + cursor)

    @given(st.text())
    def test_is_not_found_in_any_text(self, text: str) -> None:
        assert is_refused(text)

    def test_shifting_bytes_between_binding_and_position_is_refused(self) -> None:
        cursor = mint_cursor([], tag=ACME, binding=b"ab")

        assert is_refused(cursor, binding=b"a")
        assert is_refused(cursor, binding=b"ab[]")

    def test_of_an_older_secret_is_read_while_that_is_a_fallback(self) -> None:
        with override_settings(WATERMASTER_SECRET="o" * 32, WATERMASTER_SECRET_FALLBACKS=[]):
            old = mint_cursor(POSITION, tag=ACME, binding=BINDING)
        with override_settings(WATERMASTER_SECRET="n" * 32, WATERMASTER_SECRET_FALLBACKS=["o" * 32]):
            assert not is_refused(old)
        with override_settings(WATERMASTER_SECRET="n" * 32, WATERMASTER_SECRET_FALLBACKS=[]):
            assert is_refused(old)
