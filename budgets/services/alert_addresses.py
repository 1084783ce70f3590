"""Where a channel may lead: the kinds that this installation allows, and what an address of each must look like."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from budgets.models.choices import ChannelKind
from telemetry.services.webhooks.addresses import InvalidUrl, read_url, require_reachable
from telemetry.services.webhooks.rules import address_rules

MAIL_ADDRESSES_MAX: Final = 10
SLACK: Final = re.compile(r"https://hooks\.slack\.com/services/(T[A-Z0-9]{2,20})/(B[A-Z0-9]{2,20})/([A-Za-z0-9]{8,64})")


class ChannelNotAllowed(Exception):
    """This installation does not speak to this kind of channel."""


class AddressInvalid(Exception):
    """The text says what it must be, as a sentence."""


@dataclass(frozen=True, slots=True)
class Address:
    """What a channel's text means. `hint` may be shown; `text` holds a secret and is never shown or logged."""

    text: str = field(repr=False)
    hint: str


def allowed_kinds() -> tuple[ChannelKind, ...]:
    """Those of ALERT_CHANNELS for which there is a way: mail needs a mail server."""
    return tuple(
        kind
        for kind in ChannelKind
        if kind in settings.ALERT_CHANNELS and (kind != ChannelKind.EMAIL or settings.SENDS_MAIL)
    )


def read_address(kind: ChannelKind, text: str) -> Address:
    """Raises `ChannelNotAllowed` or `AddressInvalid`."""
    if kind not in allowed_kinds():
        raise ChannelNotAllowed(kind)
    return _READERS[kind](text.strip())


def _mail(text: str) -> Address:
    addresses = [piece.strip() for piece in text.split(",") if piece.strip()]
    try:
        for each in addresses:
            validate_email(each)
    except ValidationError:
        raise AddressInvalid("Write e-mail addresses with commas between them.") from None
    if not 0 < len(addresses) <= MAIL_ADDRESSES_MAX:
        raise AddressInvalid(f"Write one to {MAIL_ADDRESSES_MAX} e-mail addresses.")
    return Address(",".join(addresses), ", ".join(addresses))


def _slack(text: str) -> Address:
    found = SLACK.fullmatch(text)
    if found is None:
        raise AddressInvalid("Paste the address of an incoming webhook: https://hooks.slack.com/services/T…/B…/…")
    return Address(text, f"Slack workspace {found[1]}")


def _webhook(text: str) -> Address:
    try:
        require_reachable(text, address_rules())
    except InvalidUrl as refusal:
        raise AddressInvalid(f"The address {refusal}.") from None
    return Address(text, read_url(text, address_rules()).host)


_READERS: Final[Mapping[ChannelKind, Callable[[str], Address]]] = {
    ChannelKind.EMAIL: _mail,
    ChannelKind.SLACK: _slack,
    ChannelKind.WEBHOOK: _webhook,
}
