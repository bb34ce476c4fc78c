"""@tus/server with its S3 store, as a process in Node.js."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.embedded.http import answers
from deploy.embedded.ports import LOOPBACK, ReservedPort
from deploy.embedded.process import ChildProcess, run_all
from pipeline.settings import Settings
from tests.harness.javascript import JAVASCRIPT, MODULES
from tests.programs.bench.tus_senders import missing_javascript

PACKAGES = ("@tus/server", "@tus/s3-store")


@dataclass(frozen=True, slots=True)
class Peer:
    """A running server: where uploads are created, and its process id."""

    endpoint: str
    pid: int


def missing_peer() -> str | None:
    """Why the peer cannot run here; None: it can."""
    return next((reason for package in PACKAGES if (reason := missing_javascript(package))), None)


def peer_version() -> str:
    """The versions of its packages."""
    found = (json.loads((MODULES / package / "package.json").read_text())["version"] for package in PACKAGES)
    return ", ".join(f"{package} {version}" for package, version in zip(PACKAGES, found, strict=True))


@contextmanager
def open_peer(directory: Path, settings: Settings) -> Iterator[Peer]:
    """Run it during the block, with the S3 store of these settings. It keeps parts in `directory` until they are
    stored."""
    parts = directory.resolve() / "parts"
    parts.mkdir(parents=True)
    port = ReservedPort()
    endpoint = f"http://{LOOPBACK}:{port.number}/files"
    order = {
        "host": LOOPBACK,
        "port": port.number,
        "partBytes": settings.segment_bytes,
        "s3": {
            "bucket": settings.s3_bucket,
            "endpoint": settings.s3_endpoint_url,
            "region": settings.s3_region,
            "credentials": {
                "accessKeyId": settings.s3_access_key,
                "secretAccessKey": settings.s3_secret_key.get_secret_value(),
            },
        },
    }
    process = ChildProcess(
        name="tus-server",
        command=[shutil.which("node") or "node", str(JAVASCRIPT / "tus_server.js"), json.dumps(order)],
        log_path=directory / "tus-server.log",
        environment={**os.environ, "TMPDIR": str(parts)},
        is_ready=lambda: answers(f"{endpoint}/none"),
    )
    try:
        run_all([process.bring_up()])
        assert process.pid is not None
        yield Peer(endpoint, process.pid)
    finally:
        process.stop()
        port.release()
