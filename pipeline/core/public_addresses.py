"""Which addresses Sluice may send webhooks to: public ones, and those of networks that the operator has allowed.

Guarantee: an address that is not allowed here is never connected to, whatever name leads to it. Special-purpose
addresses (RFC 6890: loopback, private, link-local, shared, documentation, multicast, reserved) are not public, nor are
IPv6 addresses that contain such an IPv4 address (mapped, 6to4, Teredo, NAT64).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Final

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_SPECIAL: Final = tuple(
    ipaddress.ip_network(text)
    for text in ("192.0.0.0/24", "192.88.99.0/24", "100::/64", "2001::/23", "fec0::/10", "5f00::/16")
)
"""Not public, but `is_global` of some releases of Python counts addresses of them in: RFC 6890, 3879, 7526, 9602."""
_NAT64: Final = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))


def parse_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Raises ValueError."""
    return tuple(ipaddress.ip_network(text) for text in texts)


def may_connect(address: str, allowed: Sequence[Network], *, public: bool = True) -> bool:
    """Whether an IP address, as text, may be connected to. An IPv6 address may have a zone. `public`: whether public
    addresses are permitted, besides those of `allowed`."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    reached = _reached(parsed)
    if any(item.version == network.version and item in network for item in reached for network in allowed):
        return True
    return public and all(_is_public(item) for item in reached)


def is_address(host: str) -> bool:
    """Whether the host of a URL is an IP address and not a name. Forms that only C libraries accept, such as `127.1`
    and `0x7f000001`, are names here; resolving them leads to an address that is checked."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _is_public(address: _Address) -> bool:
    # `is_global` of Python 3.11 counts some multicast and reserved addresses in.
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_unspecified:
        return False
    return not any(address.version == network.version and address in network for network in _SPECIAL)


def _reached(address: _Address) -> tuple[_Address, ...]:
    """The addresses to which packets to this one may be sent: itself, or the IPv4 addresses that it contains."""
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if any(address in network for network in _NAT64):
        return (ipaddress.IPv4Address(int(address) & 0xFFFFFFFF),)
    if address.sixtofour is not None:
        return (address, address.sixtofour)
    return (address, *(address.teredo or ()))
