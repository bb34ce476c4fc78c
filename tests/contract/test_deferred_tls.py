"""A context for TLS that is made at its first connection verifies as the one for which it stands."""

from __future__ import annotations

import ssl
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from pipeline.adapters.tls import DeferredContext, deferred_contexts, verifying
from tests.harness.certificates import TestCa

pytestmark = pytest.mark.contract

IMPORT = """
import ssl
import {package}
from aiohttp import connector
contexts = (connector._SSL_CONTEXT_VERIFIED, connector._SSL_CONTEXT_UNVERIFIED)
print(*(context.cert_store_stats()["x509"] for context in contexts))
assert "set_default_verify_paths" not in vars(ssl.SSLContext)
"""


def chosen_protocol(context: ssl.SSLContext, ca: TestCa) -> str | None:
    """Shake hands with a server that has a certificate of `ca` for localhost and speaks HTTP/1.1; the protocol that
    both have chosen. Raises ssl.SSLError."""
    certificate_file, key_file = ca.issue("server", "localhost")
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    theirs.load_cert_chain(certificate_file, key_file)
    theirs.set_alpn_protocols(["http/1.1"])
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(down, up, server_hostname="localhost")
    server = theirs.wrap_bio(up, down, server_side=True)
    for side in (client, server, client, server):
        with suppress(ssl.SSLWantReadError):
            side.do_handshake()
    return client.selected_alpn_protocol()


def test_certificates_are_read_when_a_connection_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ca = TestCa(tmp_path / "ca")
    with deferred_contexts():
        context = ssl.create_default_context()
    assert isinstance(context, DeferredContext)
    context.set_alpn_protocols(["http/1.1"])
    monkeypatch.setenv("SSL_CERT_FILE", str(ca.ca_file))  # which OpenSSL reads as those of the system
    assert chosen_protocol(context, ca) == "http/1.1"


def test_a_certificate_of_another_ca_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        chosen_protocol(verifying(None), TestCa(tmp_path / "ca"))


def test_a_file_that_is_no_certificate_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(ssl.SSLError):
        verifying(tmp_path / "ca.pem")


@pytest.mark.parametrize("package", ["gateway.server", "workers.process"])
def test_processes_import_aiohttp_without_certificates(package: str) -> None:
    program = IMPORT.format(package=package)
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "0 0"
