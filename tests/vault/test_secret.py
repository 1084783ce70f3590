"""The type that carries a secret: whoever tries to write it down by mistake fails, and what they see holds nothing."""

import copy
import json
import logging
import pickle
import traceback
from collections.abc import Callable
from typing import Any, Final

import msgspec
import pytest
from kombu.utils.json import dumps

from vault.secret import Secret, SecretKept

PLANTED: Final = "xoxb-planted-1f6c"


@pytest.fixture
def secret() -> Secret:
    return Secret({"token": PLANTED, "user": "bot"})


@pytest.mark.parametrize(
    "write",
    [
        str,
        bytes,
        print,
        "{}".format,
        "%s".__mod__,
        lambda secret: f"{secret}",
        lambda secret: f"{secret:>10}",
        pickle.dumps,
        lambda secret: pickle.dumps([secret], protocol=0),
        copy.copy,
        copy.deepcopy,
        list,
        dict,
        lambda secret: secret["token"],
        json.dumps,
        lambda secret: json.dumps({"a": secret}, default=str),
        msgspec.json.encode,
        msgspec.to_builtins,
        dumps,
        hash,
        vars,
        lambda secret: secret == PLANTED,
        lambda secret: {secret},
    ],
)
def test_cannot_be_written_down(secret: Secret, write: Callable[[Secret], Any]) -> None:
    with pytest.raises(TypeError) as refusal:
        write(secret)

    assert PLANTED not in "".join(traceback.format_exception(refusal.value))
    assert PLANTED not in repr(refusal.value)


def test_shows_nothing_where_a_debugger_looks(secret: Secret) -> None:
    assert repr(secret) == "Secret(…)"
    assert PLANTED not in repr([secret, {"a": secret}, (secret,)])
    assert f"{secret!r}" == "Secret(…)"


def test_is_not_in_a_line_of_the_log(secret: Secret, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("vault").warning("leased %r", secret)
        try:
            raise ValueError(secret)
        except ValueError as error:
            logging.getLogger("vault").exception("failed: %r", error)

    assert "leased Secret(…)" in caplog.text
    assert PLANTED not in caplog.text


def test_cannot_be_made_into_something_that_shows_more() -> None:
    with pytest.raises(SecretKept):
        type("Loud", (Secret,), {"__repr__": lambda self: repr(self.reveal())})


def test_is_revealed_by_its_one_method(secret: Secret) -> None:
    fields = secret.reveal()
    fields["token"] = "changed"

    assert secret.reveal() == {"token": PLANTED, "user": "bot"}
    assert secret.only("") is secret


def test_gives_one_field_or_none(secret: Secret) -> None:
    one = secret.only("token")

    assert one is not None
    assert one.reveal() == {"token": PLANTED}
    assert secret.only("nothing") is None
    assert not Secret({})
