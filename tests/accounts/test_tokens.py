import re
import string
import zlib
from collections.abc import Callable

import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from accounts.keys.tokens import MintedKey, mint_key, parse_token, redact
from kernel.ids import PLATFORM_TAG, Tag, mint_tag

ACME = Tag("a" * 20)
INITECH = Tag("b" * 20)
BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase


def with_right_checksum(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = BASE62[digit] + digits
    return f"{body}_{digits}"


@pytest.fixture
def key() -> MintedKey:
    return mint_key(ACME)


class TestMintedKey:
    def test_has_the_published_format(self, key: MintedKey) -> None:
        assert re.fullmatch(r"wm_live_[a-z2-7]{20}_[0-9A-Za-z]{16}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}", key.token)
        assert key.token.split("_")[3] == key.key_id
        assert len(key.digest) == 32
        assert 0 <= key.pepper_version < 2**15

    def test_is_read_back_with_its_digest(self, key: MintedKey) -> None:
        parsed = parse_token(key.token)

        assert parsed is not None
        assert parsed.tag == ACME
        assert parsed.key_id == key.key_id
        assert parsed.digest == key.digest
        assert parsed.pepper_version == key.pepper_version

    def test_works_for_the_platform(self) -> None:
        parsed = parse_token(mint_key(PLATFORM_TAG).token)

        assert parsed is not None
        assert parsed.tag == PLATFORM_TAG

    def test_never_shows_its_secret_in_a_repr(self, key: MintedKey) -> None:
        secret = key.token.split("_")[4]
        parsed = parse_token(key.token)

        for shown in (repr(key), str(key), repr(parsed), f"{parsed}"):
            assert secret not in shown
            assert repr(key.digest) not in shown
            assert "wm_live" not in shown

    def test_is_another_each_time(self) -> None:
        assert mint_key(ACME).token != mint_key(ACME).token


class TestParseToken:
    def test_refuses_a_forged_tag_even_with_a_right_checksum(self, key: MintedKey) -> None:
        body = key.token.rpartition("_")[0].replace(ACME, INITECH)

        assert parse_token(with_right_checksum(body)) is None

    def test_refuses_a_forged_key_id_even_with_a_right_checksum(self, key: MintedKey) -> None:
        other = "0" if key.key_id[0] != "0" else "1"
        body = key.token.rpartition("_")[0].replace(key.key_id, other + key.key_id[1:])

        assert parse_token(with_right_checksum(body)) is None

    def test_gives_another_digest_for_a_guessed_secret(self, key: MintedKey) -> None:
        body = f"wm_live_{ACME}_{key.key_id}_{'0' * 43}"

        parsed = parse_token(with_right_checksum(body))

        assert parsed is not None
        assert parsed.digest != key.digest

    def test_refuses_a_wrong_checksum(self, key: MintedKey) -> None:
        last = "0" if key.token[-1] != "0" else "1"

        assert parse_token(key.token[:-1] + last) is None

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda token: token * 0,
            lambda token: token[:-1],
            lambda token: token + " ",
            lambda token: " " + token,
            lambda token: token + "\n",
            lambda token: token + "0",
            lambda token: token.upper(),
            lambda token: token.swapcase(),
            lambda token: token.replace("wm_live", "wm_test"),
            lambda token: token.replace("wm_live", "Wm_live"),
            lambda token: token.replace("a", "а"),  # Cyrillic
            lambda token: token.replace("_", "-"),
            lambda token: f"{token},{token}",
            lambda token: f"{token}, {token}",
            lambda token: f"Bearer {token}",
            lambda token: token + "\x00",
        ],
    )
    def test_reads_nothing_else(self, key: MintedKey, spoil: Callable[[str], str]) -> None:
        assert parse_token(spoil(key.token)) is None

    @given(st.text() | st.from_regex(r"wm_live_[a-z2-7]{20}_\w{16}_\w{43}_\w{6}"))
    def test_finds_no_key_in_any_text(self, text: str) -> None:
        assert parse_token(text) is None

    def test_accepts_a_key_of_an_older_secret_while_that_is_a_fallback(self) -> None:
        with override_settings(WATERMASTER_SECRET="o" * 32, WATERMASTER_SECRET_FALLBACKS=[]):
            old = mint_key(ACME)
        with override_settings(WATERMASTER_SECRET="n" * 32, WATERMASTER_SECRET_FALLBACKS=["x" * 32, "o" * 32]):
            parsed = parse_token(old.token)
            new = mint_key(ACME)
        with override_settings(WATERMASTER_SECRET="n" * 32, WATERMASTER_SECRET_FALLBACKS=[]):
            orphan = parse_token(old.token)

        assert parsed is not None
        assert (parsed.digest, parsed.pepper_version) == (old.digest, old.pepper_version)
        assert new.pepper_version != old.pepper_version
        assert orphan is None


class TestRedact:
    @given(before=st.text(), after=st.text())
    def test_leaves_nothing_of_a_key(self, before: str, after: str) -> None:
        token = mint_key(mint_tag()).token
        secret = token.split("_")[4]

        shown = redact(f"{before} {token} {after}")

        assert token not in shown
        assert secret not in shown

    def test_removes_cut_off_upper_cased_and_bare_ones(self, key: MintedKey) -> None:
        secret = key.token.split("_")[4]

        for text in (
            key.token[:60],
            key.token.upper(),
            f"{secret}_abc123",
            f"x={secret}&y",
            f'{{"key":"{key.token}"}}',
            f"{key.token},{key.token}",
        ):
            assert secret[:10].lower() not in redact(text).lower()

    def test_leaves_ordinary_text_alone(self) -> None:
        text = "POST /v1/reservations/rsv_" + "a" * 20 + "_" + "0" * 48 + " 409 in 3 ms, wm_ is a prefix"

        assert redact(text) == text
