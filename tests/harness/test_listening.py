"""Servers of tests close every connection, whatever their peers do. ResourceWarnings are errors in every test."""

from __future__ import annotations

import asyncio
import gc
import socket

import pytest

from tests.harness.listening import listening

pytestmark = pytest.mark.unit

_MORE_THAN_BUFFERS_HOLD = bytes(64 * 1024 * 1024)


@pytest.mark.parametrize("ends", ["after writing", "never"])
def test_a_peer_that_reads_nothing_keeps_no_socket_open(ends: str) -> None:
    accepted: list[asyncio.StreamWriter] = []
    peer = socket.socket()
    served = asyncio.Event()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.append(writer)
        served.set()
        writer.write(_MORE_THAN_BUFFERS_HOLD)
        if ends == "never":
            await writer.drain()

    async def scenario() -> None:
        async with listening(serve) as address:
            peer.connect(address)
            await served.wait()

    with peer:
        asyncio.run(scenario())
        assert accepted[0].get_extra_info("socket").fileno() == -1
    accepted.clear()
    gc.collect()


def test_what_was_written_arrives_before_the_end() -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(_MORE_THAN_BUFFERS_HOLD)

    async def scenario() -> int:
        async with listening(serve) as address:
            reader, writer = await asyncio.open_connection(*address)
            received = len(await reader.read())
            writer.close()
            await writer.wait_closed()
        return received

    assert asyncio.run(scenario()) == len(_MORE_THAN_BUFFERS_HOLD)


def test_a_handler_is_cancelled_at_the_end() -> None:
    ended: list[str] = []
    served = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        served.set()
        try:
            await reader.read()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    async def scenario() -> None:
        with socket.socket() as peer:
            async with listening(serve) as address:
                peer.connect(address)
                peer.setblocking(False)
                await served.wait()
            assert await asyncio.get_running_loop().sock_recv(peer, 1) == b""

    asyncio.run(scenario())
    assert ended == ["cancelled"]
