"""Servers that are not Sluice, or hardly servers at all: one line that says what responded, from every command."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from deploy.cli.processes import import_path
from tests.harness.listening import listening
from tests.integration.cli.conftest import Cell, Sluice

pytestmark = pytest.mark.integration


def http(status: str, body: bytes, *headers: str) -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join([*head, "", ""]).encode() + body


HTML = http("200 OK", b"<html><body>It works!</body></html>", "Content-Type: text/html")
EMPTY_PAGE = http("200 OK", b'{"success": true, "status": 200, "data": {"items": [], "next_cursor": null}}')

RESPONSES = {
    "a web page": (HTML, "responded 200, but not with the data"),
    "JSON of another API": (http("200 OK", b'{"items": []}'), "responded 200, but not with the data"),
    "broken JSON": (http("200 OK", b'{"success": tr'), "responded 200, but not with the data"),
    "deeply nested JSON": (http("200 OK", b"[" * 100_000), "responded 200, but not with the data"),
    "no text": (http("200 OK", b"\xff\xfe\x00", "Content-Type: text/html; charset=nonsense"), "responded 200, but not"),
    "an empty response": (http("204 No Content", b""), "responded 200, but not with the data"),
    "an error page": (http("404 Not Found", HTML), "responded 404, not in Sluice's format"),
    "an error of another API": (http("403 Forbidden", b'{"error": "no"}'), "responded 403, not in Sluice's format"),
    "a redirect to TLS": (
        http("301 Moved", b"", "Location: https://host.example/v1/uploads"),
        "responded 301, a redirect to https://host.example. Check that --server",
    ),
    "a redirect to a path": (
        http("308 Moved", b"", "Location: /sluice/v1/uploads"),
        "responded 308, a redirect to http://127.0.0.1:PORT/sluice. Check",
    ),
    "a redirect to nowhere": (http("302 Found", b"", "Location: http://[::1"), "responded 302, a redirect. Check"),
    "SSH": (b"SSH-2.0-OpenSSH_9.2\r\n", "the response is not valid HTTP"),
    "endless headers": (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000 + b"\r\n\r\n", "the response is not valid HTTP"),
    "a cut-off response": (http("200 OK", b"x" * 100)[:-50], "the response was cut off or is damaged"),
    "a damaged response": (http("200 OK", b"abc", "Content-Encoding: gzip"), "the response was cut off or is damaged"),
    "silence": (b"", "the connection was closed before a response arrived"),
}


@asynccontextmanager
async def server_that_sends(response: bytes) -> AsyncIterator[str]:
    """The URL of a server that sends `response` to every request, whatever it was."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(64 * 1024)
        writer.write(response)

    async with listening(serve) as (host, port):
        yield f"http://{host}:{port}"


Run = Callable[..., Awaitable[subprocess.CompletedProcess[str]]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    environment = {**os.environ, "PYTHONPATH": import_path(), "XDG_STATE_HOME": str(tmp_path / "state")}

    async def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        return await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "deploy.cli", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return command


@pytest.mark.parametrize("name", RESPONSES)
async def test_a_server_that_is_not_sluice_is_described_in_one_line(name: str, run: Run) -> None:
    response, expected = RESPONSES[name]
    async with server_that_sends(response) as url:
        result = await run("status", "--server", url)
    (line,) = result.stderr.splitlines()
    assert expected.replace("PORT", url.rpartition(":")[2]) in line
    assert url in line
    assert result.returncode == 1
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:9", "No response from http://127.0.0.1:9: Connection refused."),
        ("http://user:secret@127.0.0.1:9", "No response from http://127.0.0.1:9: Connection refused."),
        ("http://localhost:9", "No response from http://localhost:9: Connection refused."),
        ("http://nowhere.invalid", "the host name nowhere.invalid cannot be resolved"),
        ("http://...", "the host name is invalid"),
    ],
)
async def test_a_server_that_cannot_be_reached_is_described_in_one_line(url: str, expected: str, run: Run) -> None:
    for arguments in (["status", "--server", url], ["status", "0123", "--server", url]):
        result = await run(*arguments)
        (line,) = result.stderr.splitlines()
        assert expected in line
        assert "ssl" not in line
        assert "secret" not in line
        assert result.returncode == 1


async def test_a_server_without_tls_is_described_in_one_line(run: Run) -> None:
    async with server_that_sends(HTML) as url:
        result = await run("status", "--server", url.replace("http://", "https://"))
    (line,) = result.stderr.splitlines()
    assert "it does not use TLS; try a URL that begins with http://" in line


async def test_each_file_gets_the_reason_and_the_server_is_asked_once(run: Run, tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.jpg" for number in range(20)]
    for file in files:
        file.write_bytes(b"x")
    async with server_that_sends(HTML) as url:
        lines = await run("upload", *map(str, files), "--server", url)
        events = await run("upload", *map(str, files), "--json", "--server", url)
    assert lines.returncode == events.returncode == 1
    assert [line.partition(":")[0] for line in lines.stderr.splitlines()] == [f"not sent {file.name}" for file in files]
    seen = [json.loads(line) for line in events.stdout.splitlines()]
    assert [(event["event"], event["file"]) for event in seen] == [("gave_up", str(file)) for file in files]
    assert {event["error"]["code"] for event in seen} == {"HTTP_200"}
    assert events.stderr == ""


async def test_watching_an_unreachable_server_ends_with_one_line(run: Run) -> None:
    result = await run("status", "--server", "http://127.0.0.1:9", "--watch")
    assert (result.returncode, len(result.stderr.splitlines())) == (1, 1)


async def test_a_list_that_is_empty_is_no_error(run: Run) -> None:
    async with server_that_sends(EMPTY_PAGE) as url:
        result = await run("status", "--server", url)
    assert (result.returncode, result.stdout, result.stderr) == (0, "No uploads.\n", "")


def test_a_server_that_does_not_respond_is_named(sluice: Sluice, film: Path) -> None:
    result = sluice.run("upload", str(film), "--server", "http://127.0.0.1:9")
    assert result.returncode == 1
    assert "No response from http://127.0.0.1:9" in result.stderr


def test_a_server_that_is_not_sluice_is_recognized(cell: Cell, sluice: Sluice, film: Path) -> None:
    proxy = cell.stack.swift.proxy_url
    result = sluice.run("upload", str(film), "--server", proxy)
    assert result.returncode == 1
    assert "not in Sluice's format" in result.stderr
