"""`sluice key`, and keys in the other commands: with a gateway that requires them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.running import cell_processes
from tests.harness.shared_stack import Servers
from tests.integration.cli.conftest import BUDGET_BYTES, SEGMENT_BYTES, Cell, Sluice, command_for, events

pytestmark = pytest.mark.integration

SECRET = "s" * 32


@pytest.fixture(scope="module")
def guarded(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cell]:
    with cell_processes(
        servers,
        tmp_path_factory.mktemp("guarded"),
        auth="required",
        signing_secret=SECRET,
        segment_bytes=SEGMENT_BYTES,
        temp_budget_bytes=BUDGET_BYTES,
        temp_share=1.0,
    ) as started:
        yield Cell(servers, started.processes, dict(started.environment))


@pytest.fixture
def sluice(guarded: Cell, tmp_path: Path) -> Iterator[Sluice]:
    with command_for(guarded, tmp_path) as command:
        yield command


def new_key(sluice: Sluice, *arguments: str) -> str:
    made = sluice.run("key", "create", *arguments)
    assert made.returncode == 0, made.stderr
    key: str = made.stdout.strip()
    assert "not shown again" in made.stderr
    return key


def listed(sluice: Sluice, owner: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in sluice.run("key", "list", "--owner", owner, "--json").stdout.splitlines()]


def test_the_life_of_a_key(sluice: Sluice) -> None:
    key = new_key(sluice, "--owner", "life", "--scope", "upload", "--scope", "read", "--note", "a site")
    (shown,) = listed(sluice, "life")
    assert (shown["owner"], shown["scopes"], shown["state"], shown["expires"], shown["note"]) == (
        *("life", "read upload", "valid", "never"),
        "a site",
    )
    assert key.split("_", 2)[2] not in json.dumps(shown)
    assert sluice.run("status", SLUICE_KEY=key).returncode == 0
    assert sluice.run("key", "revoke", shown["id"]).returncode == 0
    assert sluice.run("key", "revoke", shown["id"]).returncode == 0, "twice is once"
    assert listed(sluice, "life")[0]["state"] == "revoked"
    while sluice.run("status", SLUICE_KEY=key).returncode == 0:  # within seconds; the test's own limit ends it
        pass
    assert "[CREDENTIAL_INVALID]" in sluice.run("status", SLUICE_KEY=key).stderr


def test_a_key_that_expires(sluice: Sluice) -> None:
    new_key(sluice, "--owner", "expires", "--scope", "read", "--expires", "90d")
    assert listed(sluice, "expires")[0]["expires"] > "2026"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--owner", "a b", "--scope", "read"), "letters, digits"),
        (("--owner", "alice"), "--scope"),
        (("--owner", "alice", "--scope", "everything"), "everything"),
        (("--owner", "alice", "--scope", "read", "--expires", "soon"), "90d"),
        (("--owner", "alice", "--scope", "read", "--expires", "5201w"), "5200w"),
        (("--owner", "alice", "--scope", "read", "--expires", "999999w"), "5200w"),
        (("--owner", "alice", "--scope", "read", "--note", "\x1b[2J"), "printable"),
    ],
)
def test_what_no_key_can_have(sluice: Sluice, arguments: tuple[str, ...], said: str) -> None:
    made = sluice.run("key", "create", *arguments)
    assert made.returncode == 2
    assert said in made.stderr
    assert made.stdout == ""


def test_a_key_that_is_not_there_cannot_be_revoked(sluice: Sluice) -> None:
    result = sluice.run("key", "revoke", "0" * 16)
    assert result.returncode == 1
    assert "no key" in result.stderr


def test_a_file_is_uploaded_with_the_key_in_a_file(sluice: Sluice, film: Path, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(new_key(sluice, "--owner", "sender", "--scope", "upload", "--scope", "read") + "\n")
    result = sluice.run("upload", str(film), "--json", "--key-file", str(path))
    assert result.returncode == 0, result.stderr
    name = events(result.stdout)[-1]["upload_id"]
    shown = json.loads(sluice.run("status", name, "--json", "--key-file", str(path)).stdout)
    assert (shown["status"], shown["owner"]) == ("ready", "sender")


@pytest.mark.parametrize(
    ("variables", "code"),
    [({}, "UNAUTHENTICATED"), ({"SLUICE_KEY": "sluice_" + "0" * 16 + "_" + "x" * 43}, "CREDENTIAL_INVALID")],
)
def test_without_a_valid_key_a_file_is_refused(
    sluice: Sluice, film: Path, variables: dict[str, str], code: str
) -> None:
    result = sluice.run("upload", str(film), **variables)
    assert result.returncode != 0
    assert f"[{code}]" in result.stderr
    assert "SLUICE_KEY" in result.stderr or "sluice key list" in result.stderr


def test_a_file_without_a_key_in_it(sluice: Sluice, film: Path, tmp_path: Path) -> None:
    empty = tmp_path / "key"
    empty.write_text("")
    for path in (empty, tmp_path / "missing"):
        result = sluice.run("upload", str(film), "--key-file", str(path))
        assert result.returncode == 2
        assert os.fspath(path.name) in result.stderr
