"""The Ceph of the tests starts, serves both protocols to one user, and leaves no process behind."""

from __future__ import annotations

import http.client
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.harness import system_packages
from tests.harness.ceph import Ceph, CephEndpoint, require_ceph

pytestmark = pytest.mark.integration


def _log_in(endpoint: CephEndpoint) -> tuple[int, str | None]:
    """The status, and the storage URL."""
    connection = http.client.HTTPConnection(urlsplit(endpoint.auth_url).netloc, timeout=10)
    headers = {"X-Auth-User": endpoint.swift_user, "X-Auth-Key": endpoint.swift_key}
    try:
        connection.request("GET", urlsplit(endpoint.auth_url).path, headers=headers)
        with connection.getresponse() as response:
            return response.status, response.getheader("X-Storage-Url")
    finally:
        connection.close()


def test_it_serves_until_it_is_stopped(tmp_path: Path) -> None:
    require_ceph()
    for _ in range(2):  # the shared one starts again in its directory when its users come back
        with Ceph(tmp_path / "ceph") as ceph:
            endpoint = ceph.endpoint
            assert _log_in(endpoint) == (204, endpoint.storage_url)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((urlsplit(endpoint.url).hostname, urlsplit(endpoint.url).port), timeout=1)
    assert not [entry for entry in Path("/proc").iterdir() if entry.name.isdigit() and _uses(entry, tmp_path)]


def test_a_missing_package_skips_or_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(system_packages.REQUIRE_SERVERS, raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-program is missing; install the Debian packages it"):
        system_packages.require_programs(["no-such-program", "sh"], ["it"])
    monkeypatch.setenv(system_packages.REQUIRE_SERVERS, "1")
    with pytest.raises(pytest.fail.Exception, match="no-such-program is missing"):
        system_packages.require_programs(["no-such-program", "sh"], ["it"])
    system_packages.require_programs(["sh"], ["it"])


def _uses(process: Path, directory: Path) -> bool:
    try:
        return str(directory).encode() in (process / "environ").read_bytes()
    except OSError:
        return False
