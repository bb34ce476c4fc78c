"""The trailer fields of a chunked body, however its bytes are split over packets and whatever follows them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_parser import HttpRequestParser
from aiohttp.streams import StreamReader

from gateway.http.trailers import TRAILER_BYTES, TrailerWatch
from pipeline.core.errors import RequestError

pytestmark = pytest.mark.unit

HEAD = (
    b"PATCH /files/1 HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n"
    b"Trailer: Upload-Checksum\r\nX-Head: no trailer\r\n\r\n"
)
BODY = b"3\r\nabc\r\n1;x=y\r\nd\r\n"
TRAILERS = b"0\r\nEmpty:\r\nUpload-Checksum:  sha1 AAAA \r\nX: 1\r\nx: 2\r\n\r\n"
NEXT = b"GET /next HTTP/1.1\r\nHost: test\r\nX-Next: 1\r\n\r\n"


class Connection:
    """Passes packets to the watch and to aiohttp's parser, as `GatewayConnection` does. No request is served."""

    def __init__(self, loop: Any) -> None:
        self.protocol = BaseProtocol(loop, None)
        self.parser = HttpRequestParser(self.protocol, loop, 2**16, max_msg_queue_size=8)
        self.watch = TrailerWatch()
        self.bodies: list[StreamReader] = []

    def receive(self, packets: Iterable[bytes]) -> None:
        for packet in packets:
            in_head = not self.bodies
            self.watch.received(packet, in_head=in_head)
            messages, _, _ = self.parser.feed_data(packet)
            if in_head and messages:
                self.watch.begun(*messages[0])
            self.bodies.extend(body for _, body in messages)


@pytest.fixture
async def connection() -> Connection:
    return Connection(asyncio.get_running_loop())


def refusal(connection: Connection, body: StreamReader) -> str:
    with pytest.raises(RequestError) as raised:
        connection.watch.fields(body)
    assert raised.value.code == "REQUEST_MALFORMED"
    return str(raised.value.detail["reason"])


@pytest.mark.parametrize("follows", [b"", NEXT])
@pytest.mark.parametrize("at", range(1, len(HEAD + BODY + TRAILERS)))
async def test_they_are_found_wherever_the_bytes_are_split(connection: Connection, at: int, follows: bytes) -> None:
    text = HEAD + BODY + TRAILERS
    connection.receive([text[:at], text[at:] + follows])
    body = connection.bodies[0]
    assert body.is_eof()
    assert list(connection.watch.fields(body).items()) == [
        ("Empty", ""),
        ("Upload-Checksum", "sha1 AAAA"),
        ("X", "1"),
        ("x", "2"),
    ]
    assert not connection.watch.ended_plainly


async def test_they_are_found_byte_by_byte(connection: Connection) -> None:
    text = HEAD + BODY + TRAILERS + NEXT
    connection.receive(text[at : at + 1] for at in range(len(text)))
    assert connection.watch.fields(connection.bodies[0])["upload-checksum"] == "sha1 AAAA"
    assert connection.watch.fields(connection.bodies[0])["X"] == "1"


@pytest.mark.parametrize("ending", [b"0\r\n\r\n", b"00\r\n\r\n"])
async def test_a_body_may_have_none(connection: Connection, ending: bytes) -> None:
    connection.receive([HEAD + BODY + ending])
    assert len(connection.watch.fields(connection.bodies[0])) == 0
    assert connection.watch.ended_plainly is (ending == b"0\r\n\r\n")


async def test_a_second_request_that_came_too_early_is_refused(connection: Connection) -> None:
    connection.receive([NEXT + HEAD + BODY + TRAILERS])
    assert "after the response" in refusal(connection, connection.bodies[1])


async def test_a_head_whose_beginning_was_not_seen_is_refused(connection: Connection) -> None:
    """The packet that ended another body has held the first bytes of this head."""
    messages, _, _ = connection.parser.feed_data(HEAD + BODY)
    connection.watch.received(b"PATCH /other HTTP/1.1\r\n" + HEAD[25:] + BODY, in_head=True)
    connection.watch.begun(*messages[0])
    connection.bodies.append(messages[0][1])
    connection.watch.received(TRAILERS, in_head=False)
    connection.parser.feed_data(TRAILERS)
    assert "after the response" in refusal(connection, connection.bodies[0])


@pytest.mark.parametrize(
    ("seen", "parsed"),
    [
        (BODY + b"0\r\n\r\n", BODY + b"1\r\ne\r\n0\r\n\r\n"),
        (BODY + b"1\r\n", BODY + b"0\r\n\r\n"),
        (BODY + b"x\r\n", BODY + b"0\r\n\r\n"),
    ],
)
async def test_parsers_that_disagree_are_refused(connection: Connection, seen: bytes, parsed: bytes) -> None:
    messages, _, _ = connection.parser.feed_data(HEAD + parsed)
    connection.watch.received(HEAD + seen, in_head=True)
    connection.watch.begun(*messages[0])
    assert refusal(connection, messages[0][1]) in {
        "it is not clear where its body ends",
        "its trailers or its framing are wrong",
    }


async def test_a_request_that_asks_for_another_protocol_is_refused(connection: Connection) -> None:
    """With Upgrade, httptools expects no body."""
    connection.receive([HEAD[:-2] + b"Connection: upgrade\r\nUpgrade: h2c\r\n\r\n" + BODY, TRAILERS])
    assert connection.bodies[0].is_eof()
    assert "framing" in refusal(connection, connection.bodies[0])


async def test_trailers_have_a_limit(connection: Connection) -> None:
    line = b"X: " + b"a" * 1000 + b"\r\n"
    connection.receive([HEAD, BODY + b"0\r\n", *[line] * (TRAILER_BYTES // 1001 + 1), b"\r\n"])
    assert f"more than {TRAILER_BYTES} bytes" in refusal(connection, connection.bodies[0])


async def test_without_the_field_trailer_nothing_is_kept(connection: Connection) -> None:
    connection.receive([HEAD.replace(b"Trailer: Upload-Checksum\r\n", b"") + BODY, TRAILERS])
    assert connection.watch._reader is None
    refusal(connection, connection.bodies[0])
