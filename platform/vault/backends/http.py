"""The HTTP sessions in which stores are asked: no redirects, no proxies and passwords from elsewhere, small answers."""

from collections.abc import Mapping
from typing import Any, Final

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ReadTimeoutError

from vault.backends.timed import POOLS

#: Of connecting, and of each wait for more. Whoever asks waits as long as `bounded` lets them, and the thread that is
#: left behind is held for as long as `timed` lets an answer take.
TIMEOUT_SECONDS: Final = (1.0, 1.4)
_BYTES_MAX: Final = 1_048_576


class AnswerTooLarge(requests.RequestException):
    """More than any secret is long."""


class _SmallAnswers(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **named: Any) -> None:
        super().init_poolmanager(*args, **named)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def send(self, request: requests.PreparedRequest, *args: Any, **named: Any) -> requests.Response:
        response = super().send(request, *args, **named | {"stream": True})
        try:
            content = response.raw.read(_BYTES_MAX + 1, decode_content=True)
        except ReadTimeoutError:
            raise requests.ReadTimeout from None
        finally:
            response.close()
        if len(content) > _BYTES_MAX:
            raise AnswerTooLarge
        response._content = content  # what `requests` itself does after it has read a whole answer
        return response


def new_session(*, ca_bundle: str) -> requests.Session:
    """Kept for many questions. `ca_bundle` is a file of certificates to trust, empty for the usual ones."""
    session = requests.Session()
    # Else the environment could lead a token to a proxy, or put another password beside it.
    session.trust_env = False
    session.verify = ca_bundle or True
    adapter = _SmallAnswers(pool_maxsize=8, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def without_nothing(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Only what is said: an empty name would be sent as one."""
    return {name: value for name, value in fields.items() if value}
