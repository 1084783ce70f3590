"""Speaking to a channel: by apprise, and of its hundred services by three, each made of parts that we have read.

No address is handed to apprise as text: it would follow whatever its scheme says. Its own log is shut, because it
writes addresses and answers into it.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from apprise import Apprise, AppriseAsset, NotifyBase, NotifyFormat, NotifyType
from apprise.exception import AppriseException
from apprise.plugins.email import NotifyEmail
from apprise.plugins.slack import NotifySlack
from django.conf import settings

from budgets.models.choices import ChannelKind
from budgets.services.alert_addresses import SLACK, ChannelNotAllowed, allowed_kinds
from telemetry.services.webhooks.addresses import InvalidUrl, read_url
from telemetry.services.webhooks.rules import address_rules
from telemetry.services.webhooks.wire import NoAnswer, Receiver

_ASSET: Final[dict[str, Any]] = {
    "app_id": "Watermaster",
    "async_mode": False,
    "secure_logging": True,
    "http_redirects": False,
}
_HEADERS: Final = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "Watermaster"}
# It has hardly any types.
_Mail: Final[Any] = NotifyEmail
_Slack: Final[Any] = NotifySlack

logging.getLogger("apprise").disabled = True


class NotTold(Exception):
    """Nobody took the message. The text is a sentence without any part of the address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """The same for all: a line, some lines, and for machines the whole as JSON."""

    title: str
    body: str
    document: Mapping[str, Any]


def tell(kind: ChannelKind, address: str, message: Message) -> tuple[str, ...]:
    """Who of several readers did not take it though others did.

    Raises `ChannelNotAllowed` or `NotTold`; a message of which that is said may have arrived all the same.
    """
    if kind not in allowed_kinds():
        raise ChannelNotAllowed(kind)
    try:
        service = _SERVICES[kind](address, message)
        speaker = Apprise(asset=AppriseAsset(**_ASSET))
        is_told = speaker.add(service) and speaker.notify(
            title=message.title, body=message.body, body_format=NotifyFormat.TEXT
        )
    except (AppriseException, TypeError, ValueError, OSError):
        # Its words may repeat the address.
        raise NotTold(_FAILED[kind]) from None
    if not is_told:
        raise NotTold(getattr(service, "failure", "") or _FAILED[kind])
    return service.missed if isinstance(service, _Letter) else ()


class _Webhook(NotifyBase):  # type: ignore[no-untyped-call]
    """JSON to an address that is judged again at the connection; no redirects."""

    service_name = "Webhook"  # type: ignore[assignment]
    secure_protocol = "watermaster"  # type: ignore[assignment]
    title_maxlen = 250
    body_maxlen = 100_000
    request_rate_per_sec = 0

    def __init__(self, url: str, document: Mapping[str, Any], **named: Any) -> None:
        super().__init__(**named)  # type: ignore[no-untyped-call]
        self._url = url
        self._document = document
        self.failure = ""

    def url(self, *_: Any, **__: Any) -> str:
        return "watermaster://"

    def send(self, body: str, title: str = "", notify_type: NotifyType = NotifyType.INFO, **_: Any) -> bool:
        self.failure = _posted(self._url, {"title": title, "text": body, **self._document})
        return not self.failure


class _Workspace(_Slack):  # type: ignore[misc]
    """An incoming webhook of Slack's, spoken to like any receiver: past proxies of the environment, in bounded time."""

    failure = ""

    def _send(self, url: str, payload: Mapping[str, Any], **_: Any) -> dict[str, Any]:
        self.failure = _posted(url, payload)
        return {} if self.failure else {"ok": True}


def _posted(url: str, document: Mapping[str, Any]) -> str:
    """What went wrong, without any part of the address; empty where nothing did."""
    rules = address_rules()
    try:
        with Receiver(read_url(url, rules), rules) as receiver:
            answer = receiver.post(msgspec.json.encode(document), _HEADERS)
    except InvalidUrl:
        return "The address is not allowed any more."
    except NoAnswer as nothing:
        return str(nothing)
    return "" if answer.is_success else f"It answered {answer.status}."


class _Letter(_Mail):  # type: ignore[misc]
    """A mail to some people. It counts as taken where one of them took it: told again, the others read it again."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._taken: set[str] = set()

    @property
    def missed(self) -> tuple[str, ...]:
        """Who did not take it; a server that is not sure of somebody yet says that it should be sent again later."""
        return tuple(each for _, each in self.targets if each not in self._taken)

    def mark_delivered(self, key: Any, *args: Any, **named: Any) -> None:
        self._taken.add(key)
        super().mark_delivered(key, *args, **named)

    def send(self, *args: Any, **named: Any) -> bool:
        return super().send(*args, **named) or bool(self._taken)


def _mail_service(address: str, _: Message) -> NotifyBase:
    server = settings.MAILERS["default"]["OPTIONS"]
    mode = "ssl" if server["use_ssl"] else "starttls" if server["use_tls"] else "insecure"
    service: NotifyBase = _Letter(
        host=server["host"],
        smtp_host=server["host"],
        port=server["port"],
        user=server["username"] or None,
        password=server["password"] or None,
        secure_mode=mode,
        from_addr=settings.DEFAULT_FROM_EMAIL,
        targets=address.split(","),
        format="text",
        asset=AppriseAsset(**_ASSET),
    )
    return service


def _slack_service(address: str, _: Message) -> NotifyBase:
    found = SLACK.fullmatch(address)
    if found is None:
        raise NotTold("The address is not allowed any more.")
    tokens = dict(zip(("token_a", "token_b", "token_c"), found.groups(), strict=True))
    parts = {"include_image": False, "include_footer": False, "asset": AppriseAsset(**_ASSET)}
    service: NotifyBase = _Workspace(**tokens, **parts)
    return service


def _webhook_service(address: str, message: Message) -> NotifyBase:
    return _Webhook(address, message.document, asset=AppriseAsset(**_ASSET))


#: The allow-list: what is not here cannot be spoken to.
_SERVICES: Final[Mapping[ChannelKind, Callable[[str, Message], NotifyBase]]] = {
    ChannelKind.EMAIL: _mail_service,
    ChannelKind.SLACK: _slack_service,
    ChannelKind.WEBHOOK: _webhook_service,
}
_FAILED: Final[Mapping[ChannelKind, str]] = {
    ChannelKind.EMAIL: "The mail server did not take it.",
    ChannelKind.SLACK: "Slack did not take it.",
    ChannelKind.WEBHOOK: "The receiver did not take it.",
}
