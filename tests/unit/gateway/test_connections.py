"""Which connection is closed for a new one, and what counts as one address."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from gateway.http.connections import ConnectionLimits, Connections, Seldom

pytestmark = pytest.mark.unit


class Client:
    """A connection that is closed at once when it is cut."""

    def __init__(self) -> None:
        self.is_cut = False

    def cut(self) -> None:
        self.is_cut = True

    def stalled_seconds(self) -> float:
        return 0.0


def joined(connections: Connections, host: str, *, idle: bool = True) -> Client | None:
    """A new connection from `host`; None if it is refused."""
    client = Client()
    if not connections.add(client, host):
        return None
    if idle:
        connections.set_idle(client)
    return client


async def test_at_the_limit_the_one_that_has_been_idle_longest_is_closed() -> None:
    connections = Connections(ConnectionLimits(3))
    first, second, third = (joined(connections, f"192.0.2.{number}") for number in range(3))
    assert first
    assert second
    assert third
    connections.set_busy(first)
    assert not connections.is_full
    assert joined(connections, "192.0.2.9") is not None
    assert [client.is_cut for client in (first, second, third)] == [False, True, False]
    connections.remove(second)
    assert len(connections) == 3


async def test_a_connection_becomes_the_last_in_line_when_its_request_ends() -> None:
    connections = Connections(ConnectionLimits(2))
    first, second = joined(connections, "a"), joined(connections, "b")
    assert first
    assert second
    connections.set_busy(first)
    connections.set_idle(first)
    joined(connections, "c")
    assert (first.is_cut, second.is_cut) == (False, True)


async def test_nothing_is_accepted_while_all_are_busy() -> None:
    connections = Connections(ConnectionLimits(2))
    first, _ = joined(connections, "a", idle=False), joined(connections, "b", idle=False)
    assert first
    assert connections.is_full
    connections.set_idle(first)
    assert not connections.is_full
    connections.set_busy(first)
    assert connections.is_full
    connections.remove(first)
    assert not connections.is_full
    await connections.room()


async def test_what_was_cut_counts_no_more_and_is_not_cut_again() -> None:
    connections = Connections(ConnectionLimits(1))
    first = joined(connections, "a")
    second = joined(connections, "b", idle=False)
    assert first
    assert first.is_cut
    assert second
    connections.set_busy(first)
    connections.set_idle(first)
    assert connections.is_full
    assert not connections.cut_idle("idle")
    connections.remove(first)
    connections.remove(first)
    assert len(connections) == 1


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
    ],
)
async def test_what_counts_as_one_address(one: str, other: str, same: bool) -> None:
    connections = Connections(ConnectionLimits(10, 1))
    assert joined(connections, one, idle=False)
    assert (joined(connections, other, idle=False) is None) is same


async def test_an_address_at_its_limit_loses_its_own_idle_connections_only() -> None:
    connections = Connections(ConnectionLimits(10, 2))
    other = joined(connections, "192.0.2.9")
    first, second = joined(connections, "192.0.2.1", idle=False), joined(connections, "192.0.2.1")
    assert other
    assert first
    assert second
    third = joined(connections, "192.0.2.1", idle=False)
    assert third is not None
    assert [client.is_cut for client in (other, first, second)] == [False, False, True]
    assert joined(connections, "192.0.2.1") is None
    connections.remove(second)
    assert joined(connections, "192.0.2.1") is None
    connections.remove(third)
    assert joined(connections, "192.0.2.1") is not None


@pytest.mark.parametrize("host", ["10.1.2.3", "::ffff:10.1.2.3", "2001:db8:7::1"])
async def test_proxies_have_no_limit_per_address(host: str) -> None:
    connections = Connections(ConnectionLimits(10, 1, ("10.0.0.0/8", "2001:db8:7::/48")))
    assert all(joined(connections, host, idle=False) for _ in range(5))
    assert joined(connections, "11.0.0.1", idle=False)
    assert joined(connections, "11.0.0.1", idle=False) is None


def test_what_happens_all_the_time_is_logged_once_a_minute() -> None:
    now = 0.0
    log = Seldom("connections.full", lambda: now)
    with capture_logs() as entries:
        for _ in range(1000):
            log()
        now = 61.0
        log()
    assert [entry["times"] for entry in entries] == [1, 1000]
