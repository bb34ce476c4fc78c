"""Responses name no directory of the server."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.http.envelope import failure
from gateway.http.paths import without_tokens
from pipeline.core.errors import RequestError, SluiceError, TempVolumeError
from pipeline.hidden_paths import without_paths

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/var/lib/sluice/temp does not exist", "[path] does not exist"),
        ("[Errno 2] No such file: '/home/a b/x.py'", "[Errno 2] No such file: '[path] b/x.py'"),
        ("FileNotFoundError: /tmp", "FileNotFoundError: [path]"),
        ('could not open file "/usr/share/x"; see /etc/y.conf.', 'could not open file "[path]"; see [path]'),
        ("connecting to unix socket /run/redis/redis.sock. No", "connecting to unix socket [path] No"),
        ("(/opt/venv/lib/x.so)", "([path])"),
        ("GET /docs lists every route", "GET /docs lists every route"),
        ("PUT http://host/home/x: 500", "PUT http://host/home/x: 500"),
        ("http://host:8080/tmp/x and raw/tmp/film.mp4", "http://host:8080/tmp/x and raw/tmp/film.mp4"),
        ("/v1/uploads/etc", "/v1/uploads/etc"),
        ("1/2 and a/b, /etcetera", "1/2 and a/b, /etcetera"),
    ],
)  # fmt: skip
def test_paths_are_replaced_and_nothing_else(text: str, shown: str) -> None:
    assert without_paths(text) == shown


def test_details_of_any_depth() -> None:
    value = {"problems": {"temp_volume": "/var/lib/x is missing"}, "names": ["/etc/a", 5, None], "n": 1.5}
    assert without_paths(value) == {
        "problems": {"temp_volume": "[path] is missing"},
        "names": ["[path]", 5, None],
        "n": 1.5,
    }


def _sent(error: SluiceError) -> dict[str, Any]:
    body = failure(error, "/v1/x", "id").body
    assert isinstance(body, bytes)
    sent: dict[str, Any] = json.loads(body)["error"]
    return sent


def test_an_error_of_the_server_is_sent_without_them() -> None:
    sent = _sent(TempVolumeError("TEMP_VOLUME_FAILED", reason="/var/lib/sluice/temp does not exist"))
    assert sent["message"] == "The temp volume cannot be used: [path] does not exist."
    assert sent["detail"] == {"reason": "[path] does not exist"}


def test_what_the_caller_sent_is_not_changed() -> None:
    assert _sent(RequestError("IMPORT_EMPTY", key="/tmp/film.mp4"))["detail"] == {"key": "/tmp/film.mp4"}


def test_tokens_in_a_path_are_not_shown() -> None:
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln-_9"
    assert without_tokens(f"/uppy/{token}/s3/multipart/0198~{token}/1") == "/uppy/[token]/s3/multipart/0198~[token]/1"
    assert without_tokens(f"/uppy/{token[:20]}") == "/uppy/[token]"
    assert without_tokens("/v1/uploads/0198c1f2-7a52/events") == "/v1/uploads/0198c1f2-7a52/events"
