"""What `sluice up` prints about its servers works: the environment file, and the commands for each server and store."""

from __future__ import annotations

import json
import re
import shlex
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.session import Session

from tests.harness.up import Up

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

_ROOT = Path(__file__).parents[3]
_DOCUMENTS = (_ROOT / "README.md", _ROOT / "ARCHITECTURE.md", *sorted((_ROOT / "docs").rglob("*.md")))
_CONTENT = re.compile(r"is content ([0-9a-f-]{36})")


def documented(program: str) -> list[str]:
    """Every command line of this program in the code blocks of the documentation, without its comment."""
    lines: list[str] = []
    for document in _DOCUMENTS:
        for block in re.findall(r"^```.*?\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL):
            lines += [line.partition(" # ")[0].strip() for line in block.splitlines() if line.startswith(program)]
    return lines


def uploaded(run: Up) -> str:
    """Wait for the content of the sample; its id."""
    found = _CONTENT.search(run.wait_for("is content"))
    assert found
    run.wait_for("Serving until")
    return found[1]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    started = Up(tmp_path_factory.mktemp("up") / "a directory's name", "--demo")
    try:
        yield started
    finally:
        started.close()


@pytest.fixture(scope="module")
def content_id(run: Up) -> str:
    return uploaded(run)


def test_doctor_finds_no_problem_with_the_environment_file(run: Up, content_id: str) -> None:
    assert stat.S_IMODE(run.environment_file.stat().st_mode) == 0o600
    result = run.shell("sluice doctor --json")
    assert result.returncode == 0, result.stdout + result.stderr
    findings: list[dict[str, Any]] = json.loads(result.stdout)
    assert {"Redis", "PostgreSQL", "object store", "temp volume"} <= {finding["check"] for finding in findings}
    assert not [finding for finding in findings if finding["level"] == "error"]


def test_psql_shows_the_row_of_the_content(run: Up, content_id: str) -> None:
    query = "SELECT id, filename, content_type FROM contents"
    expected = f"{content_id}|sample.mp4|video/mp4\n"
    assert run.shell(f'psql "$SLUICE_DATABASE_URL" -Atc "{query}"').stdout == expected
    assert run.shell(f'{run.shown("PostgreSQL")} -Atc "{query}"').stdout == expected


def test_the_printed_commands_list_the_store_and_reach_redis(run: Up, content_id: str) -> None:
    assert f"contents/{content_id}/original" in run.shell(run.shown("list objects")).stdout
    assert run.shell(f"{run.shown('Redis')} PING").stdout == "PONG\n"
    assert "container sluice" in run.shown("store")


def test_the_clients_need_no_options(run: Up, content_id: str) -> None:
    assert content_id in run.shell("sluice status --json").stdout


def test_every_redis_command_of_the_documentation_works(run: Up, content_id: str) -> None:
    commands = documented("redis-cli")
    assert len(commands) >= 8
    for command in commands:
        if " BLOCK " in command:
            continue
        result = run.shell(command, ID=content_id)
        assert result.returncode == 0, command
        # These may be empty while nothing is in flight; every other one shows what the run has done.
        if not any(name in command for name in ("status:processing", ":queue")):
            assert any(line.strip() for line in result.stdout.splitlines()), command
        assert not re.search(r"^(ERR|WRONG|\(error\))", result.stdout, re.MULTILINE), (command, result.stdout)


def test_every_psql_command_of_the_documentation_works(run: Up, content_id: str) -> None:
    commands = documented("psql")
    assert commands
    for command in commands:
        result = run.shell(command)
        assert result.returncode == 0, (command, result.stderr)
        assert "sample.mp4" in result.stdout


def test_the_volume_has_the_name_that_the_documentation_uses(run: Up, content_id: str) -> None:
    (command,) = [line for line in documented("redis-cli") if "HMGET sluice:v1:volume" in line]
    values = run.shell(command).stdout.split()
    assert [value.isdigit() for value in values] == [True, True, True], values


def test_the_documented_wait_for_the_next_change_ends_with_it(run: Up, content_id: str) -> None:
    (command,) = [line for line in documented("redis-cli") if " BLOCK " in line]
    with run.start_shell(command) as waiting:
        # `cmd=xread` is shown once the command blocks.
        redis = run.shown("Redis")
        run.shell(f"until {redis} CLIENT LIST | grep -q 'flags=b.*cmd=xread'; do :; done")
        run.shell(f"{redis} XADD sluice:v1:events '*' upload_id {content_id}")
        output, _ = waiting.communicate(timeout=60)
        assert content_id in output


def test_recover_works_after_redis_has_lost_everything(run: Up, content_id: str) -> None:
    run.shell(f"{run.shown('Redis')} FLUSHALL")
    result = run.shell("sluice recover")
    assert result.returncode == 0, result.stdout + result.stderr
    assert run.shell("sluice doctor").returncode == 0


def test_the_environment_file_is_removed_with_the_run(tmp_path: Path) -> None:
    run = Up(tmp_path / "run", "--directory", str(tmp_path / "data"))
    try:
        run.wait_for("watch uploads")
        path = run.environment_file
        assert path == tmp_path / "data" / "env.sh"
        assert path.exists()
        run.process.send_signal(signal.SIGINT)
        assert run.end() == 0, run.lines
        assert not path.exists()
    finally:
        run.close()


@pytest.mark.parametrize("store", ["s3", "filesystem"])
def test_other_stores_are_named_and_checked(tmp_path: Path, store: str) -> None:
    run = Up(tmp_path / "run", "--demo", SLUICE_STORE=store)
    try:
        content_id = uploaded(run)
        key = f"contents/{content_id}/original"
        assert run.shell("sluice doctor").returncode == 0
        if store == "filesystem":
            assert run.shown("store").startswith("the directory ")
            assert content_id in run.shell(run.shown("list objects")).stdout
        else:
            assert "bucket sluice-s3" in run.shown("store")
            values = run.shell('echo "$SLUICE_S3_ACCESS_KEY $SLUICE_S3_SECRET_KEY"').stdout.split()
            assert key in _keys_by_aws_command(run.shown("list objects"), *values)
    finally:
        run.close()


def _keys_by_aws_command(command: str, access_key: str, secret_key: str) -> list[str]:
    """What the printed `aws s3 ls` would list, with botocore in its place: the command itself is not in the wheels."""
    words = shlex.split(command)
    at = words.index("aws")
    assert words[:at] == ["AWS_ACCESS_KEY_ID=$SLUICE_S3_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY=$SLUICE_S3_SECRET_KEY"]
    arguments = words[at + 1 :]
    client = Session().create_client(
        "s3",
        region_name=arguments[arguments.index("--region") + 1],
        endpoint_url=arguments[arguments.index("--endpoint-url") + 1],
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
    )
    listed = client.list_objects_v2(Bucket=arguments[-1].removeprefix("s3://"))
    return [item["Key"] for item in listed["Contents"]]
