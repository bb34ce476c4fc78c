"""Responses that no store sends: what proxies, captive portals, broken servers and half-written ones respond."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from aiohttp import web

from tests.contract.object_store.faulty_server import Handler, raw

HTML = b"<!DOCTYPE html>\n<html><head><title>Login</title></head><body>Please <b>log in<br></body></html>"
XHTML = b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><body><p>Maintenance</p></body></html>'
BODIES: Mapping[str, bytes] = {
    "empty": b"",
    "white space": b"   \r\n\r\n",
    "html": HTML,
    "xhtml": XHTML,
    "text": b"OK",
    "not utf-8": b"\xff\xfe\x00<\x00\x80\x81",
    "truncated json": b'[{"name": "a", "by',
    "truncated xml": b"<ListBucketResult><Contents><Key>a",
    "json object": b"{}",
    "json of another kind": b'{"error": {"code": 500}}',
    "json null": b"null",
    "json number": b"17",
    "json text": b'"text"',
    "list of nulls": b"[null, 1, []]",
    "missing keys": b'[{"subdir": "a/"}, {}]',
    "wrong values": b'[{"name": 7, "bytes": "many", "hash": null}]',
    "negative values": b'[{"name": "a", "bytes": -5, "hash": "x"}]',
    "not a number": b'[{"name": "a", "bytes": NaN, "hash": "x"}]',
    "endless number": b'[{"name": "a", "bytes": ' + b"9" * 5000 + b', "hash": "x"}]',
    "deep json": b"[" * 200_000,
    "deep xml": b"<a>" * 20_000,
    "lone surrogate": b'[{"name": "\\ud800", "bytes": 1, "hash": "x"}]',
    "other listing": b'[{"name": "another-upload/00000001", "bytes": 1, "hash": "x"}]',
    "xml of another kind": b"<Other><IsTruncated>false</IsTruncated></Other>" * 2,
    "error in xml": b"<Error><Code>InternalError</Code><Message>no</Message></Error>",
    "unknown encoding": b'<?xml version="1.0" encoding="klingon"?><ListBucketResult/>',
    "many entities": b'<!DOCTYPE a [<!ENTITY b "cccccccccc">]><ListBucketResult><Name>&b;&x;</Name></ListBucketResult>',
    "heartbeat without status": b'   {"Errors": []}',
    "heartbeat of another kind": b'   {"Response Status": ["201"], "Etag": 7, "Errors": {"a": 1}}',
    "heartbeat with wrong etag": b'   {"Response Status": "201 Created", "Etag": "x", "Errors": []}',
}
HEADERS: Mapping[str, Mapping[str, str]] = {
    "content length is text": {"Content-Length": "many"},
    "content length is negative": {"Content-Length": "-1"},
    "content length is endless": {"Content-Length": "9" * 30},
    "content length is a fraction": {"Content-Length": "1.5"},
    "two content lengths": {"Content-Length": "5\r\nContent-Length: 6"},
    "too short": {"Content-Length": "100000"},
    "etag is empty": {"ETag": '""', "Content-Length": "0"},
    "etag is no text": {"ETag": "\xff\xfe", "Content-Length": "0"},
    "dates are no dates": {"Last-Modified": "yesterday", "Date": "now", "Content-Length": "0"},
    "a redirect that is a success": {"Location": "http://127.0.0.1:9/", "Content-Length": "0"},
    "x headers": {
        "X-Static-Large-Object": "perhaps",
        "X-Account-Object-Count": "many",
        "X-Amz-Mp-Parts-Count": "many",
        "X-Amz-Meta-X": "\xff",
        "Content-Range": "bytes 9-1/-3",
        "Content-Length": "0",
    },
    "a header that is too long": {"X-Long": "x" * 100_000, "Content-Length": "0"},
    "unknown encoding": {"Content-Encoding": "klingon", "Transfer-Encoding": "klingon"},
}
NOT_HTTP: Mapping[str, bytes] = {
    "nothing": b"",
    "no http": b"SSH-2.0-OpenSSH_9.2p1\r\n",
    "half a status line": b"HTTP/1.1 2",
    "a status of text": b"HTTP/1.1 good OK\r\n\r\n",
    "half of its headers": b"HTTP/1.1 200 OK\r\nContent-Ty",
    "a chunk of text": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nmany\r\n",
}


def garbage() -> Iterator[tuple[str, Handler]]:
    """(name, handler) of every response; those with a body come with each status of a success."""
    for name, body in BODIES.items():
        for status in (200, 201):
            yield f"{name} {status}", _respond(status, body)
    for name, headers in HEADERS.items():
        lines = "".join(f"{header}: {value}\r\n" for header, value in headers.items())
        yield name, raw(f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode("latin-1"))
    for name, response in NOT_HTTP.items():
        yield name, raw(response)


def _respond(status: int, body: bytes) -> Handler:
    kind = "text/html" if body in (HTML, XHTML) else "application/xml" if body.startswith(b"<") else "application/json"

    async def handler(request: web.Request) -> web.StreamResponse:
        await request.read()
        return web.Response(status=status, body=body, content_type=kind)

    return handler


class Flood:
    """Responds with a body without an end. `sent_bytes` is the most that the client took of one response."""

    def __init__(self, first: bytes, block: bytes, status: int = 200) -> None:
        self.sent_bytes = 0
        self._first = first
        self._block = block
        self._status = status

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        response = web.StreamResponse(status=self._status, headers={"Content-Type": "application/xml"})
        await response.prepare(request)
        await response.write(self._first)
        sent_bytes = 0
        try:
            while True:
                await response.write(self._block)
                sent_bytes += len(self._block)
                self.sent_bytes = max(self.sent_bytes, sent_bytes)
        except (ConnectionError, OSError):
            return response
