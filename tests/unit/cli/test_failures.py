"""Every error as one line, for every command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from pydantic import BaseModel, ValidationError, model_validator
from pydantic_core import InitErrorDetails

from deploy.cli import root
from deploy.cli.errors import ClientError, FileUnusableError
from deploy.cli.failures import failure_code, is_expected, sentence
from deploy.cli.output import OutputError
from deploy.cli.processes import import_path
from deploy.embedded import StackError
from pipeline.core.errors import SluiceError
from pipeline.settings import Settings

pytestmark = pytest.mark.unit

SETTINGS_COMMANDS = [
    ["gateway"],
    ["worker", "all"],
    ["migrate"],
    ["recover"],
    ["doctor"],
    ["import"],
    ["verify", "--all"],
]


def raised(error: Exception) -> Exception:
    try:
        raise error
    except type(error) as caught:
        return caught


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ClientError("Said\nfor a person."), "Said for a person."),
        (
            SluiceError("REDIS_UNAVAILABLE", reason="a\x1b[31m\nb"),
            r"Redis is unavailable: a\x1b[31m b. [REDIS_UNAVAILABLE]",
        ),
        (StackError("no Swift"), "no Swift"),
        (FileNotFoundError(2, "No such file or directory", "a\nb"), r"a\nb: No such file or directory"),
        (PermissionError(13, "Permission denied"), "Permission denied"),
        (OutputError(OSError(28, "")), "The output cannot be written: No space left on device."),
    ],
)
def test_errors_for_people_keep_their_words(error: Exception, text: str) -> None:
    assert sentence(raised(error)) == text
    assert is_expected(error)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (KeyError("x"), "Unexpected error: KeyError: 'x'"),
        (RuntimeError("two\nlines"), "Unexpected error: RuntimeError: two lines"),
        (AssertionError(), "Unexpected error: AssertionError"),
        (RecursionError(), "Unexpected error: RecursionError"),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "no"), "Unexpected error: UnicodeEncodeError: "),
    ],
)
def test_unexpected_errors_name_their_type_and_place_on_one_line(error: Exception, text: str) -> None:
    shown = sentence(raised(error))
    assert shown.startswith(text)
    assert "tests/unit/cli/test_failures.py, line " in shown
    assert "\n" not in shown
    assert not is_expected(error)


def test_a_group_of_errors_is_as_many_sentences_without_repetitions() -> None:
    group = ExceptionGroup("g", [ClientError("One."), ExceptionGroup("h", [ClientError("Two."), ClientError("One.")])])
    assert sentence(group) == "One.; Two."
    assert is_expected(group)
    assert not is_expected(ExceptionGroup("g", [ClientError("One."), KeyError()]))


def test_errors_have_codes_for_programs() -> None:
    assert failure_code(FileUnusableError("Empty.", code="FILE_EMPTY")) == "FILE_EMPTY"
    assert failure_code(KeyError()) == "KeyError"


@pytest.mark.parametrize("command", SETTINGS_COMMANDS, ids=" ".join)
def test_an_invalid_setting_is_one_line(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_DATABASE_POOL", "secret-text")
    result = CliRunner().invoke(root.sluice, command)
    assert (result.exit_code, result.stdout) == (1, "")
    problem = "SLUICE_DATABASE_POOL: Input should be a valid integer, unable to parse string as an integer"
    assert result.stderr.splitlines() == [f"Error: Invalid setting {problem}"]


def test_each_invalid_setting_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = [name for name, field in Settings.model_fields.items() if field.annotation in (int, float, bool)]
    for name in wrong:
        monkeypatch.setenv(f"SLUICE_{name.upper()}", "secret-text")
    first, *lines = CliRunner().invoke(root.sluice, ["doctor"]).stderr.splitlines()
    assert first == "Error: Invalid settings:"
    assert sorted(line.split(":")[0] for line in lines) == sorted(f"  SLUICE_{name.upper()}" for name in wrong)
    assert not any("secret-text" in line for line in lines)


class Strict(BaseModel):
    """Settings with an invalid item of a list, and with a rule about the whole."""

    names: tuple[str, ...] = ()

    @model_validator(mode="after")
    def check(self) -> Strict:
        if self.names == ("a",):
            raise ValueError("two names\nare needed")
        return self


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["a", 1], "Invalid setting SLUICE_NAMES item 2: Input should be a valid string"),
        (["a"], "Invalid setting two names are needed"),
    ],
)
def test_settings_of_every_shape_are_named(names: list[object], text: str) -> None:
    with pytest.raises(ValidationError) as error:
        Strict.model_validate({"names": names})
    renamed = ValidationError.from_exception_data("Settings", _line_errors(error.value))
    assert sentence(renamed) == text


def _line_errors(error: ValidationError) -> list[InitErrorDetails]:
    return [
        InitErrorDetails(type=item["type"], loc=item["loc"], input=item["input"], ctx=item.get("ctx", {}))
        for item in error.errors()
    ]


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Every command of the table raises KeyError."""

    @click.command()
    def command() -> None:
        raise KeyError("x")

    monkeypatch.setattr(root.RootGroup, "get_command", lambda *_: command)
    return monkeypatch


@pytest.mark.parametrize("name", root.COMMANDS)
def test_an_unexpected_error_of_any_command_is_one_line_with_a_hint(name: str, broken: pytest.MonkeyPatch) -> None:
    result = CliRunner().invoke(root.sluice, [name])
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: Unexpected error: KeyError: 'x' (tests/unit/cli/test_failures.py, line ")
    assert line.endswith("Set SLUICE_DEBUG=1 to see the traceback, and please report it.")


@pytest.mark.parametrize(("arguments", "variable"), [(["--debug"], ""), ([], "1"), ([], "true"), (["--debug"], "0")])
def test_the_traceback_is_shown_on_request(arguments: list[str], variable: str, broken: pytest.MonkeyPatch) -> None:
    broken.setenv("SLUICE_DEBUG", variable)
    result = CliRunner().invoke(root.sluice, [*arguments, "status"])
    assert result.exit_code == 1
    assert "Traceback (most recent call last)" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("Error: Unexpected error: KeyError: 'x'")


@pytest.mark.parametrize("variable", ["", "0", "false", "No"])
def test_a_debug_variable_that_is_off_shows_no_traceback(variable: str, broken: pytest.MonkeyPatch) -> None:
    broken.setenv("SLUICE_DEBUG", variable)
    assert "Traceback" not in CliRunner().invoke(root.sluice, ["status"]).output


def test_an_interruption_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def command() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(root.RootGroup, "get_command", lambda *_: command)
    result = CliRunner().invoke(root.sluice, ["status"])
    assert (result.exit_code, result.stderr.strip()) == (130, "Interrupted.")


def shell(script: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": import_path(), "SLUICE": f"{sys.executable} -m deploy.cli"}
    return subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=False)


def test_a_closed_pipe_is_no_error_message() -> None:
    result = shell("{ sleep 0.1; $SLUICE --help; echo $? >&2; } | true")
    assert result.stderr.split() == ["1"]


def test_a_full_disk_behind_the_output_is_one_line(tmp_path: Path) -> None:
    result = shell("$SLUICE --help >/dev/full")
    assert result.returncode == 1
    assert result.stderr == "Error: No space left on device\n"


def test_closed_streams_are_no_error() -> None:
    assert shell("$SLUICE --help >&-").returncode == 0
    assert shell("$SLUICE --version 2>&-").returncode == 0


def test_text_that_the_terminal_cannot_show_is_escaped(tmp_path: Path) -> None:
    result = shell("PYTHONIOENCODING=ascii $SLUICE upload /no/ünï --server http://127.0.0.1:9")
    assert result.stderr == "not sent \\xfcn\\xef: The file does not exist.\n"
