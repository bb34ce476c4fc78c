"""`sluice doctor` and `sluice migrate` with real servers that work, and with one that does not."""

from __future__ import annotations

import json
import re
import signal
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import botocore.session
import pytest
import redis

from tests.harness.ceph import CephEndpoint
from tests.harness.session import session_directory
from tests.harness.shared_stack import SharedStack, shared_stack
from tests.integration.cli.conftest import Cell, Sluice

pytestmark = pytest.mark.integration


def levels(sluice: Sluice, **variables: str) -> dict[str, set[str]]:
    """The levels of the findings, by check."""
    result = sluice.run("doctor", "--json", **variables)
    found: dict[str, set[str]] = {}
    for finding in json.loads(result.stdout):
        assert set(finding) == {"check", "level", "finding", "advice"}
        assert finding["level"] == "ok" or finding["advice"]
        found.setdefault(finding["check"], set()).add(finding["level"])
    assert result.returncode == (1 if any("error" in found_levels for found_levels in found.values()) else 0)
    return found


def test_a_healthy_cell_has_no_errors(cell: Cell, sluice: Sluice) -> None:
    before = sorted(cell.temp_dir.iterdir())
    found = levels(sluice)
    assert list(found) == [
        "Redis",
        "PostgreSQL",
        "object store",
        "media reader",
        "temp volume",
        "records",
        "process",
        "access",
    ]
    assert not any("error" in found_levels for found_levels in found.values()), found
    assert found["Redis"] == {"ok"}
    assert found["PostgreSQL"] == {"ok"}
    assert sorted(cell.temp_dir.iterdir()) == before


def store_findings(sluice: Sluice, **variables: str) -> list[dict[str, str]]:
    result = sluice.run("doctor", "--json", **variables)
    assert "Traceback" not in result.stderr
    found: list[dict[str, str]] = json.loads(result.stdout)
    return [finding for finding in found if finding["check"] == "object store"]


CAPABILITIES = [
    "write",
    "ranged read",
    "list",
    "segments",
    "delete",
    "presigned PUT",
    "presigned GET",
    "presigned GET of joined segments",
    "presigned GET of one segment",
]


def _rgw(ceph: CephEndpoint) -> dict[str, str]:
    return {
        "SLUICE_STORE": "s3",
        "SLUICE_S3_BUCKET": f"doctor-{uuid.uuid4().hex[:12]}",
        "SLUICE_S3_ENDPOINT_URL": ceph.url,
        "SLUICE_S3_ACCESS_KEY": ceph.access_key,
        "SLUICE_S3_SECRET_KEY": ceph.secret_key,
    }


def _store(name: str, request: pytest.FixtureRequest, directory: Path) -> dict[str, str]:
    """The variables that name one store."""
    match name:
        case "s3-rgw":
            return _rgw(request.getfixturevalue("ceph"))
        case "swift-keystone":
            stack: SharedStack = request.getfixturevalue("keystone_stack")
            return {
                **stack.environment(),
                "SLUICE_STORE": "swift",
                "SLUICE_SWIFT_CONTAINER": f"doctor-{directory.name}",
            }
        case "filesystem":
            return {"SLUICE_STORE": "filesystem", "SLUICE_FILESYSTEM_DIR": str(directory / "store")}
        case _:
            return {"SLUICE_STORE": name}


@pytest.fixture(scope="module")
def keystone_stack() -> Iterator[SharedStack]:
    with shared_stack(session_directory(), "keystone") as stack:
        yield stack


@pytest.mark.parametrize("store", ["swift", "swift-keystone", "s3", "s3-rgw", "filesystem"])
def test_every_store_is_examined_capability_by_capability(
    sluice: Sluice, request: pytest.FixtureRequest, tmp_path: Path, store: str
) -> None:
    variables = {**_store(store, request, tmp_path), "SLUICE_SWIFT_TEMPURL_KEY": "key of the tests' TempURLs"}
    kept = {name: value for name, value in variables.items() if not name.startswith("SLUICE_TEMP_")}
    which, limits, *found = store_findings(sluice, **kept)
    assert (which["level"], limits["level"]) == ("ok", "ok")
    assert re.match(r"limits: an object has at most \d+ segments of [\d.]+ \w+ to [\d.]+ \w+, and", limits["finding"])
    assert [finding["finding"].partition(":")[0] for finding in found] == CAPABILITIES
    for finding in found:
        if store == "filesystem" and finding["finding"].startswith("presigned"):
            assert finding["level"] == "ok"
            assert finding["finding"].endswith("has no URLs for clients")
            assert finding["advice"]
        else:
            assert finding["finding"].endswith(": works"), finding
    assert "SWIFT" not in json.dumps(found) or store.startswith("swift")


def test_without_a_tempurl_key_what_follows_is_said(sluice: Sluice) -> None:
    found = {finding["finding"]: finding for finding in store_findings(sluice)}
    put = next(finding for what, finding in found.items() if what.startswith("presigned PUT: missing"))
    assert put["level"] == "ok", "nothing is wrong"
    assert "TRANSPORT_NOT_OFFERED" in put["advice"]
    assert "SLUICE_SWIFT_TEMPURL_KEY" in put["advice"]
    get = next(finding for what, finding in found.items() if what.startswith("presigned GET: works with a fallback"))
    assert "streamed through the gateway" in get["advice"]


@pytest.mark.parametrize(
    ("variable", "value", "word"),
    [
        ("SLUICE_S3_SECRET_KEY", "wrong", "SLUICE_S3_SECRET_KEY"),
        ("SLUICE_S3_ENDPOINT_URL", "http://127.0.0.1:9", "SLUICE_S3_ENDPOINT_URL is http://127.0.0.1:9"),
        ("SLUICE_S3_BUCKET", "Not_A_Bucket!", "SLUICE_S3_BUCKET"),
        ("SLUICE_S3_PUBLIC_URL", "http://127.0.0.1:9", "SLUICE_STORE_GRANTS=trusted"),
    ],
)
def test_advice_names_the_settings_of_the_store(
    sluice: Sluice, ceph: CephEndpoint, variable: str, value: str, word: str
) -> None:
    found = store_findings(sluice, **{**_rgw(ceph), variable: value})
    advice = [finding["advice"] for finding in found if finding["level"] != "ok"]
    assert advice
    assert any(word in text for text in advice), found
    assert "SWIFT" not in json.dumps(found)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_doctor_leaves_nothing_in_the_store(
    sluice: Sluice, ceph: CephEndpoint, stop: signal.Signals
) -> None:
    variables = _rgw(ceph)
    sluice.environment.update(variables)
    client = botocore.session.get_session().create_client(
        "s3",
        endpoint_url=ceph.url,
        region_name=ceph.region,
        aws_access_key_id=ceph.access_key,
        aws_secret_access_key=ceph.secret_key,
    )
    bucket = variables["SLUICE_S3_BUCKET"]
    process = sluice.start("doctor", "--json")
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if client.list_objects_v2(Bucket=bucket).get("Contents"):
                break  # it has begun to write
        except client.exceptions.ClientError:
            pass  # the bucket does not exist yet
    process.send_signal(stop)
    assert "Traceback" not in process.communicate(timeout=60)[1]
    assert process.returncode != 0
    assert "Contents" not in client.list_objects_v2(Bucket=bucket)
    assert "Uploads" not in client.list_multipart_uploads(Bucket=bucket)
    client.close()


def test_advice_is_printed(sluice: Sluice, tmp_path: Path) -> None:
    result = sluice.run("doctor", SLUICE_TEMP_DIR=str(tmp_path / "gone"))
    assert result.returncode == 1
    assert "does not exist" in result.stdout
    assert "SLUICE_TEMP_DIR" in result.stdout


@pytest.mark.parametrize(
    ("variable", "value", "check"),
    [
        ("SLUICE_REDIS_URL", "redis://127.0.0.1:9/0", "Redis"),
        ("SLUICE_DATABASE_URL", "postgresql://sluice@127.0.0.1:9/sluice", "PostgreSQL"),
        ("SLUICE_SWIFT_AUTH_URL", "http://127.0.0.1:9/auth/v1.0", "object store"),
        ("SLUICE_SWIFT_PASSWORD", "wrong", "object store"),
        ("SLUICE_TEMP_DIR", "/proc/self", "temp volume"),
    ],
)
def test_one_problem_is_found_and_does_not_affect_the_other_checks(
    sluice: Sluice, variable: str, value: str, check: str
) -> None:
    found = levels(sluice, **{variable: value})
    assert "error" in found.pop(check)
    assert not any("error" in found_levels for found_levels in found.values()), found


def test_the_media_reader_is_sandboxed_and_reads_a_picture(sluice: Sluice) -> None:
    found = {
        finding["finding"]
        for finding in json.loads(sluice.run("doctor", "--json").stdout)
        if (finding["check"], finding["level"]) == ("media reader", "ok")
    }
    assert any(finding.startswith("sandboxed") for finding in found), found
    assert "reads a picture and makes a thumbnail of it" in found


def test_a_missing_database_is_an_error(cell: Cell, sluice: Sluice) -> None:
    url = cell.environment["SLUICE_DATABASE_URL"].rsplit("/", 1)[0] + "/missing"
    assert "error" in levels(sluice, SLUICE_DATABASE_URL=url)["PostgreSQL"]


def test_a_redis_that_evicts_keys_is_an_error(sluice: Sluice, redis_url: str) -> None:
    server: redis.Redis = redis.Redis.from_url(redis_url)
    with server:
        server.config_set("maxmemory-policy", "allkeys-lru")
        try:
            assert "error" in levels(sluice, SLUICE_REDIS_URL=redis_url)["Redis"]
        finally:
            server.config_set("maxmemory-policy", "noeviction")


def test_migrating_again_does_nothing(sluice: Sluice) -> None:
    result = sluice.run("migrate")
    assert result.returncode == 0
    assert "nothing to do" in result.stdout


def test_an_unavailable_database_is_reported_in_one_sentence(sluice: Sluice) -> None:
    result = sluice.run("migrate", SLUICE_DATABASE_URL="postgresql://sluice@127.0.0.1:9/sluice")
    assert result.returncode == 1
    assert "[DATABASE_UNAVAILABLE]" in result.stderr
    assert "Traceback" not in result.stderr


def test_wrong_counters_of_an_owner_are_found_and_corrected(cell: Cell, sluice: Sluice) -> None:
    url, namespace = sluice.environment["SLUICE_REDIS_URL"], sluice.environment.get("SLUICE_REDIS_NAMESPACE", "sluice")
    server: redis.Redis = redis.Redis.from_url(url)
    key = f"{namespace}:v1:owner:ann"
    server.hset(key, "waiting", "3")
    try:
        found = [item for item in json.loads(sluice.run("doctor", "--json").stdout) if item["check"] == "records"]
        (warning,) = [item for item in found if item["level"] == "warning"]
        assert "the counters of 1 owners differ from their uploads: ann" in warning["finding"]
        assert "sluice recover" in warning["advice"]
        result = sluice.run("recover")
        assert result.returncode == 0, result.stderr
        assert "Counters of owner ann corrected: waiting 3 -> 0" in result.stdout
        assert not server.exists(key)
        assert "warning" not in levels(sluice)["records"]
    finally:
        server.delete(key)
        server.close()


def test_what_the_guide_for_the_internet_asks_for(sluice: Sluice) -> None:
    good = {
        "SLUICE_AUTH": "required",
        "SLUICE_SIGNING_SECRET": "9f2c6c1fd0e84b7c8f7d2f0c5b1e6a3d4c7b8a9f0e1d2c3b4a5968778695a4b3",
    }
    assert sluice.run("key", "create", "--owner", "alice", "--scope", "upload", **good).returncode == 0
    assert "error" not in levels(sluice, **good)["access"]
    for bad in (
        {"SLUICE_AUTH": "required", "SLUICE_SIGNING_SECRET": ""},
        {**good, "SLUICE_SIGNING_SECRET": "changeme" * 4},
        {"SLUICE_AUTH": "none", "SLUICE_HOST": "0.0.0.0"},  # noqa: S104  # judged, not bound
    ):
        assert "error" in levels(sluice, **bad)["access"], bad
    assert "warning" in levels(sluice, **{**good, "SLUICE_HOST": "0.0.0.0"})["access"]  # noqa: S104  # judged, not bound
