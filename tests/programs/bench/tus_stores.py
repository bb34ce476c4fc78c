"""The stores into which `tus-stream` uploads, and what it does with them outside of the measured time."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.config import Config
from botocore.session import get_session

from pipeline.settings import Settings
from tests.harness.ceph import PROGRAMS, Ceph
from tests.harness.system_packages import missing_programs
from tests.programs.bench.bed import Bed

_BLOCK_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Target:
    """One store: the settings with which Sluice uses it, and the process ids of its servers. `is_s3`: the peer can use
    it too."""

    name: str
    settings: Mapping[str, str]
    pids: Sequence[int]
    is_s3: bool
    empty: Callable[[Settings], None]
    """Remove all objects, so that each upload finds the same state of the disk."""


@contextmanager
def open_targets(bed: Bed) -> Iterator[list[Target]]:
    """Swift by its own API and by its S3 API, both on the disk, and the object gateway of Ceph, which keeps objects in
    memory, if it is installed."""
    swift = bed.groups()["swift servers"]

    def empty_swift(settings: Settings) -> None:
        command = bed.swift_command("delete", settings.swift_container, "--prefix", "")
        subprocess.run(command, capture_output=True, check=True)

    targets = [
        Target("swift", {"store": "swift"}, swift, is_s3=False, empty=empty_swift),
        Target("swift's s3", {"store": "s3"}, swift, is_s3=True, empty=_empty_bucket),
    ]
    with ExitStack() as exits:
        if missing_ceph() is None:
            ceph = exits.enter_context(Ceph(bed.directory / "ceph"))
            end = ceph.endpoint
            keys = {"s3_access_key": end.access_key, "s3_secret_key": end.secret_key}
            settings = {"store": "s3", "s3_endpoint_url": end.url, "s3_region": end.region, **keys}
            pids = list(ceph.processes().values())
            targets.append(Target("ceph's s3", settings, pids, is_s3=True, empty=_empty_bucket))
        yield targets


def missing_ceph() -> str | None:
    """Why Ceph cannot run here; None: it can."""
    missing = missing_programs(PROGRAMS)
    return f"{', '.join(missing)} not installed" if missing else None


def stored_digest(settings: Settings, key: str) -> bytes:
    """SHA-256 of an object in the bucket of these settings."""
    digest = hashlib.sha256()
    body = _client(settings).get_object(Bucket=settings.s3_bucket, Key=key)["Body"]
    for block in body.iter_chunks(_BLOCK_BYTES):
        digest.update(block)
    return digest.digest()


def file_digest(path: Path) -> bytes:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _empty_bucket(settings: Settings) -> None:
    client = _client(settings)
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=settings.s3_bucket):
        for item in page.get("Contents", ()):
            client.delete_object(Bucket=settings.s3_bucket, Key=item["Key"])


def _client(settings: Settings) -> Any:
    return get_session().create_client(
        "s3",
        endpoint_url=settings.s3_endpoint_url,
        region_name=settings.s3_region,
        aws_access_key_id=settings.s3_access_key,
        aws_secret_access_key=settings.s3_secret_key.get_secret_value(),
        config=Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required"),
    )
