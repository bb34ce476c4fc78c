"""The command line itself."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from deploy.cli.root import COMMANDS, sluice
from pipeline.core.stages import WorkerType

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_exists_and_has_help(name: str) -> None:
    result = CliRunner().invoke(sluice, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert name in result.output


def test_help_lists_every_command_and_imports_none() -> None:
    script = (
        "import sys; from deploy.cli.root import sluice; sluice(['--help'], standalone_mode=False);"
        " print(sorted(sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    for name, (module, summary) in COMMANDS.items():
        assert summary.split()[0] in shown, name
        assert f"'{module}'" not in shown
    for heavy in ("aiohttp", "redis", "asyncpg", "pydantic", "rich"):
        assert f"'{heavy}'" not in shown


@pytest.mark.parametrize(
    ("name", "value"),
    [("SLUICE_STORE", "s3"), ("SLUICE_STORE", "filesystem"), ("SLUICE_SWIFT_AUTH_URL", "http://swift.example/v3")],
)
def test_keystone_is_refused_for_another_store(name: str, value: str) -> None:
    result = CliRunner().invoke(sluice, ["up", "--keystone"], env={name: value})
    assert result.exit_code == 2
    assert name in result.output


def test_the_help_of_worker_explains_every_worker_type() -> None:
    text = CliRunner().invoke(sluice, ["worker", "--help"]).output
    for kind in WorkerType:
        assert f"\n  {kind} " in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["worker", "nonsense"], "nonsense"),
        (["worker"], "STAGE"),
        (["upload"], "FILES"),
        (["status", "--server", "ftp://x"], "http://"),
        (["status", "--server", "http://"], "is not a URL"),
        (["status", "--server", "http://[::1"], "is not a URL"),
        (["status", "--server", "http://host:port"], "is not a URL"),
        (["status", "--server", "http://host:0"], "is not a URL"),
        (["status", "--server", "http://a b"], "is not a URL"),
        (["status", "--server", "http://a\nb"], r"a\nb is not a URL"),
        (["status", "--server", "http://host/?page=1"], "has a query"),
        (["up", "--once"], "--demo"),
        (["up", "--fresh"], "--directory"),
        (["up", "--keystone", "--directory", "/"], "--fresh"),
        (["frobnicate"], "frobnicate"),
    ],
)
def test_an_invalid_command_line_ends_with_2(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(sluice, arguments)
    assert result.exit_code == 2
    assert message in result.output


def test_metadata_must_be_key_value_pairs(tmp_path: object) -> None:
    result = CliRunner().invoke(sluice, ["upload", __file__, "--metadata", "lonely"])
    assert result.exit_code == 2
    assert "KEY=VALUE" in result.output


def test_invalid_settings_are_named_without_their_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_STORE_CONCURRENCY", "plenty")
    result = CliRunner().invoke(sluice, ["doctor"])
    assert result.exit_code == 1
    assert "SLUICE_STORE_CONCURRENCY" in result.output
    assert "Traceback" not in result.output
