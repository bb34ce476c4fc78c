"""Names of callers contain nothing that changes how a terminal, a log or a page shows them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
import structlog
from pydantic import ValidationError

from deploy.cli.names import server_filename, shown
from pipeline.core.printable import printable
from pipeline.logs import configure_logging, logger
from pipeline.uploads.imports import _filename
from schemas.imports import ImportObject
from schemas.uploads import CreateUpload

pytestmark = pytest.mark.unit

BIDI = [chr(code) for code in (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))]
CONTROLS = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)]
FINE = ["Träume.mp4", "فيلم.mp4", "סרט.mp4", "映画.mp4", "👨‍👩‍👧.mp4", "e\u0301.mp4", "a b.mp4", "क्‍ष.mp4"]


@pytest.mark.parametrize("character", BIDI + CONTROLS, ids=lambda character: f"{ord(character):04x}")
def test_a_file_name_with_such_a_character_is_refused_and_replaced(character: str) -> None:
    name = f"holiday{character}4pm.exe"
    with pytest.raises(ValidationError) as refused:
        CreateUpload(filename=name, size=1)
    assert refused.value.errors()[0]["type"] == "string_pattern_mismatch"
    with pytest.raises(ValidationError):
        CreateUpload(filename="a", size=1, metadata={f"k{character}": "value"})
    with pytest.raises(ValidationError):
        ImportObject(key="a", metadata={f"k{character}": "value"})
    accepted = CreateUpload(filename=server_filename(name), size=1).filename
    assert accepted == "holiday_4pm.exe"
    assert _filename(f"raw/{name}") == accepted
    assert character not in shown(name)
    assert character not in printable(name)


@pytest.mark.parametrize("name", FINE)
def test_names_of_every_script_are_accepted_and_kept(name: str) -> None:
    assert CreateUpload(filename=name, size=1, metadata={name: "\u200ftext\n"}).filename == name
    assert server_filename(name) == name
    assert shown(name) == name
    assert _filename(name) == name


def test_the_schema_states_the_rule() -> None:
    pattern = CreateUpload.model_json_schema()["properties"]["filename"]["pattern"]
    for character in BIDI + CONTROLS + ["/", "\\"]:
        assert not re.search(pattern, f"a{character}b")
    assert all(re.search(pattern, name) for name in FINE)


@pytest.fixture
def restored_logging() -> Iterator[None]:
    yield
    structlog.reset_defaults()


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_log_shows_them_escaped(log_format: str, capsys: pytest.CaptureFixture[str], restored_logging: None) -> None:
    evil = "\x1b[31mred\x9b\u202egpj.exe\r\nforged"
    configure_logging(log_format, "info")
    logger_of_test = logger(path=evil)
    try:
        raise ValueError(evil)
    except ValueError:
        logger_of_test.exception("test.event", key=evil)
    written = capsys.readouterr().err
    assert written
    for character in ("\x9b", "\u202e", "\r"):
        assert character not in written
    assert "\x1b[31mred" not in written
    if log_format == "json":
        assert json.loads(written)["path"] == evil
