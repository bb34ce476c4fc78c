"""Which addresses webhooks may lead to."""

from __future__ import annotations

import pytest

from pipeline.core.public_addresses import is_address, may_connect, parse_networks

pytestmark = pytest.mark.unit

PUBLIC = ["93.184.216.34", "1.1.1.1", "172.15.255.255", "172.32.0.1", "2606:2800:220:1:248:1893:25c8:1946", "2a00::1"]

NOT_PUBLIC = {
    "loopback": ["127.0.0.1", "127.255.255.255", "::1"],
    "this host": ["0.0.0.0", "0.1.2.3", "::"],  # noqa: S104  # an address, nothing listens there
    "private": ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1", "fc00::1", "fdff::1"],
    "link-local, where clouds serve credentials": ["169.254.169.254", "fe80::1", "fe80::1%eth0", "fe80::1%25eth0"],
    "site-local": ["fec0::1"],
    "protocols and relays": ["192.0.0.9", "192.0.0.192", "192.88.99.1", "100::1", "2001:10::1", "5f00::1"],
    "shared": ["100.64.0.1", "100.127.255.255"],
    "documentation": ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1"],
    "benchmarks": ["198.18.0.1", "198.19.255.255"],
    "multicast": ["224.0.0.1", "239.255.255.255", "ff02::1", "ff0e::1"],
    "reserved and broadcast": ["240.0.0.1", "255.255.255.255"],
    "mapped": ["::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254"],
    "6to4": ["2002:7f00:1::", "2002:a00:1::1"],
    "NAT64": ["64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1"],
    "Teredo": ["2001:0:7f00:1::", "2001::80ff:fffe"],
    "no address": ["", "localhost", "127.1", "0x7f000001", "2130706433", "1.2.3.4.5", "[::1]"],
}


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_permitted(address: str) -> None:
    assert may_connect(address, ())


@pytest.mark.parametrize("address", [address for found in NOT_PUBLIC.values() for address in found])
def test_others_are_refused(address: str) -> None:
    assert not may_connect(address, ())


@pytest.mark.parametrize(
    ("address", "network", "permitted"),
    [
        ("10.20.3.4", "10.20.0.0/16", True),
        ("10.21.3.4", "10.20.0.0/16", False),
        ("::ffff:10.20.3.4", "10.20.0.0/16", True),
        ("64:ff9b::a14:304", "10.20.0.0/16", True),
        ("fd00::1", "fd00::/8", True),
        ("fd00::1%eth0", "fd00::/8", True),
        ("10.20.3.4", "::/0", False),
        ("93.184.216.34", "10.20.0.0/16", True),
    ],
)
def test_networks_that_are_allowed_are_permitted_besides(address: str, network: str, permitted: bool) -> None:
    assert may_connect(address, parse_networks([network])) is permitted


@pytest.mark.parametrize(("address", "permitted"), [("10.20.3.4", True), ("10.21.3.4", False), ("1.1.1.1", False)])
def test_without_public_ones_only_allowed_networks_are_permitted(address: str, permitted: bool) -> None:
    assert may_connect(address, parse_networks(["10.20.0.0/16"]), public=False) is permitted


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("::1", True), ("fe80::1%eth0", True), ("127.1", False), ("0x7f000001", False), ("a", False)],
)
def test_only_what_is_written_as_an_address_is_one(host: str, expected: bool) -> None:
    assert is_address(host) is expected


@pytest.mark.parametrize("text", ["10.0.0.1/8", "10.0.0.0/33", "nonsense", ""])
def test_a_network_must_be_one(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_networks([text])
