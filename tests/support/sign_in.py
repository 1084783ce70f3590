"""Signing in as a person does it, second step included."""

import re
import time
from typing import Any, Final

from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.test import Client

from tests.support.console import PASSWORD

SIGN_IN: Final = "/accounts/login/"
SECOND_STEP: Final = "/accounts/2fa/authenticate/"
SET_UP_APP: Final = "/accounts/2fa/totp/activate/"


def sign_in(client: Client, email: str, password: str = PASSWORD, **more: str) -> Any:
    return client.post(SIGN_IN, {"login": email, "password": password, **more})


def code_of(secret: str, *, steps: int = 0) -> str:
    """What the authenticator app shows now, or some half minutes later."""
    shown: str = format_hotp_value(hotp_value(secret, int(time.time()) // 30 + steps))
    return shown


def set_up_app(client: Client) -> tuple[str, list[str]]:
    """Give whoever is signed in an authenticator app; its secret and the recovery codes as they are shown."""
    page = client.get(SET_UP_APP).content.decode()
    secret = page.split('id="totp-secret">')[1].split("<", maxsplit=1)[0]
    # With the code of half a minute ago, so that the present one is still unused.
    answer = client.post(SET_UP_APP, {"code": code_of(secret, steps=-1)})
    assert answer.status_code == 302, answer.content.decode()
    codes = re.findall(r"^(?:<pre[^>]*><code>)?(\d{8})$", _codes(client.get(answer["Location"])), re.MULTILINE)
    return secret, codes


def _codes(answer: Any) -> str:
    text: str = answer.content.decode()
    return text.split('id="recovery-codes"><code>')[1].split("</code>", maxsplit=1)[0]
