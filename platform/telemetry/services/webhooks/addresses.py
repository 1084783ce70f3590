"""Where a webhook may lead: to the public internet and nowhere else.

A name says one thing when it is written down and another when it is connected to, so the address is judged each time,
and the connection goes to the very address that was judged.
"""

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from telemetry.services.webhooks.names import addresses_of

type Address = IPv4Address | IPv6Address
type Network = IPv4Network | IPv6Network

URL_LENGTH_MAX: Final = 2048
#: Somebody waits for the answer who writes an address down: its host is looked up no longer than this.
_LOOK_UP_S: Final = 5.0
_PORTS: Final = {"http": 80, "https": 443}
#: Public by their numbers, and yet answered by the machine that asks, or on behalf of others.
_SPECIAL: Final = (
    ip_network("168.63.129.16/32"),  # a cloud's own service for its machines
    ip_network("192.88.99.0/24"),
    ip_network("fec0::/10"),  # a site's own, as it was before fc00::/7
)
#: The protocol's list of what is refused. More is: whatever is no public address.
PRIVATE_NETWORKS: Final = tuple(
    ip_network(text)
    for text in (
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16", "100.64.0.0/10"),
        *("::1/128", "fc00::/7", "fe80::/10"),
    )
)
_NAT64: Final = ip_network("64:ff9b::/96")


class InvalidUrl(Exception):
    """The text says what it must be, as the end of a sentence that begins with the field."""


class AddressRefused(Exception):
    """The host leads to an address to which nothing is sent. The text says so without naming the address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressRules:
    """`open_networks` may be reached although they are private, on any port: receivers of one's own."""

    allow_http: bool = False
    open_networks: tuple[Network, ...] = ()
    blocked_networks: tuple[Network, ...] = ()

    def permits(self, address: Address, *, port: int) -> bool:
        if any(address in network for network in self.open_networks):
            return True
        return port in _PORTS.values() and is_public(address) and not self._is_blocked(address)

    def _is_blocked(self, address: Address) -> bool:
        return any(address in network for network in self.blocked_networks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A receiver's URL, taken apart. `target` is the path with its query."""

    is_tls: bool
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS["https" if self.is_tls else "http"] else f"{host}:{self.port}"


def read_url(url: str, rules: AddressRules) -> Endpoint:
    """The endpoint, by the text alone. Raises `InvalidUrl`."""
    if len(url) > URL_LENGTH_MAX or not url.isascii() or any(sign <= " " or sign == "\x7f" for sign in url):
        raise InvalidUrl("must be at most 2048 characters of ASCII without spaces")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidUrl("must be a URL, like https://example.com/hooks") from None
    if parts.scheme not in _PORTS or not parts.hostname or "\\" in url:
        raise InvalidUrl("must be a URL, like https://example.com/hooks")
    if parts.scheme == "http" and not rules.allow_http:
        raise InvalidUrl("must begin with https://")
    if "@" in parts.netloc:
        raise InvalidUrl("must not hold a user or a password; send them in a header")
    if parts.fragment:
        raise InvalidUrl("must not have a part behind #")
    port = _PORTS[parts.scheme] if port is None else port
    if port not in _PORTS.values() and not rules.open_networks:
        raise InvalidUrl("must use port 443")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Endpoint(is_tls=parts.scheme == "https", host=parts.hostname, port=port, target=target)


def shown_url(url: str) -> str:
    """The URL as pages and trails show it: what stands behind the names of its query may let somebody in."""
    address, is_asking, query = url.partition("?")
    if not is_asking:
        return url
    names = [name for name, value in parse_qsl(query, keep_blank_values=True) if value]
    # Without an equals sign the whole of it may be the secret.
    return f"{address}?{'&'.join(f'{name}=***' for name in names) or '***'}"


def resolve(
    endpoint: Endpoint, rules: AddressRules, *, timeout_s: float
) -> Sequence[tuple[socket.AddressFamily, tuple[str, int]]]:
    """The addresses of the host, each judged. Raises `AddressRefused` if any is refused.

    Raises OSError if there is none, or none was found in time.
    """
    found = addresses_of(endpoint.host, endpoint.port, timeout_s=timeout_s)
    for _, _, _, _, where in found:
        # Behind a % stands the name of an interface: a link-local address, refused with or without it.
        if not rules.permits(ip_address(str(where[0]).partition("%")[0]), port=endpoint.port):
            raise AddressRefused("The host leads to a private or reserved address, or to a port other than 443.")
    return [(family, (str(where[0]), endpoint.port)) for family, _, _, _, where in found]


def require_reachable(url: str, rules: AddressRules) -> None:
    """What can be said of a URL before it is stored. Raises `InvalidUrl`.

    A host without an address yet is let through: it is judged again at each connection.
    """
    endpoint = read_url(url, rules)
    try:
        resolve(endpoint, rules, timeout_s=_LOOK_UP_S)
    except AddressRefused:
        raise InvalidUrl("must lead to a public address, on port 443") from None
    except (OSError, UnicodeError):
        return


def is_public(address: Address) -> bool:
    """Whether it belongs to the internet at large, and no part of it is another address that does not."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address in _NAT64:
            return is_public(IPv4Address(int(address) & 0xFFFF_FFFF))
        inner = address.sixtofour or (address.teredo or (None, None))[1]
        if inner is not None and not is_public(inner):
            return False
    is_odd = address.is_multicast or address.is_reserved or address.is_unspecified or address.is_link_local
    return address.is_global and not is_odd and not any(address in network for network in _SPECIAL)
