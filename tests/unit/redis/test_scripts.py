"""What is true of every script's text."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from pipeline.adapters.redis.scripts import NAMES, source
from pipeline.adapters.redis.scripts.composed import READS

pytestmark = pytest.mark.unit

_CALL = re.compile(r"\bredis\.p?call\('([A-Z]+)'")
_PROOF = re.compile(r"\b(?:may|try|try_and_undo)\('([A-Z]+)'")
_STRING = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"")
_DEFINITION = re.compile(
    r"^\s*local function (\w+)|^\s*local ([\w, ]+?) =|^\s*local ([\w, ]+)$|\bfor ([\w, ]+) (?:=|in) ", re.MULTILINE
)
_PARAMETERS = re.compile(r"function ?\w*\(([\w, .]*)\)")
_NAME = re.compile(r"(?<![\w.:])([A-Za-z_]\w*)(?!\w| = )")
_KEYWORDS = re.compile(
    "and|break|do|else|elseif|end|false|for|function|if|in|local|nil|not|or|repeat|return|then|true|until|while"
)
_OF_REDIS = re.compile(
    "ARGV|KEYS|cjson|error|ipairs|math|next|pairs|redis|setmetatable|string|table|tonumber|tostring|type|unpack"
)


def _split(name: str) -> tuple[str, str]:
    """The proof of rights of a script, and the rest."""
    text = source(name)
    if "redis.acl_check_cmd" not in text:
        return "", text
    rights, found, rest = text.partition("\n  if problem then return problem end\nend\n")
    assert found
    return rights, rest


@pytest.mark.parametrize("name", NAMES)
def test_a_script_that_writes_proves_its_rights_first(name: str) -> None:
    rights, text = _split(name)
    used = set(_CALL.findall(text)) | set(_PROOF.findall(text))
    if used <= READS:
        assert not rights, "an error leaves nothing behind"
        return
    if_told, if_not = (set(_PROOF.findall(part)) for part in rights.split("\nelse\n"))
    assert "redis." not in rights.split("\nelse\n")[0].partition("may('")[2]
    assert if_told == if_not, "every version proves the same"
    assert used <= if_told <= used | {"HSET", "DEL"}


def test_the_probe_runs_every_command() -> None:
    used = {command for name in NAMES if name != "server_probe" for command in _CALL.findall(_split(name)[1])}
    _, probe = _split("server_probe")
    assert set(_CALL.findall(probe)) | set(_PROOF.findall(probe)) | {"TIME"} == used


@pytest.mark.parametrize("name", NAMES)
def test_a_script_has_every_name_that_it_uses_and_no_function_that_it_does_not(name: str) -> None:
    _, text = _split(name)
    known: set[str] = set()
    functions: dict[str, int] = {}
    for number, line in enumerate(_STRING.sub("''", text).splitlines()):
        for found in _DEFINITION.finditer(line):
            for defined in filter(None, found.groups()):
                known |= {part.strip() for part in defined.split(",")}
            if found[1] and not line.startswith(" "):
                functions[found[1]] = number
        for parameters in _PARAMETERS.findall(line):
            known |= {part.strip() for part in parameters.split(",")}
        for used in set(_NAME.findall(line)) - known:
            assert _KEYWORDS.fullmatch(used) or _OF_REDIS.fullmatch(used), f"{used} in {line}"
    for function in functions:
        assert len(re.findall(rf"\b{function}\b", text)) > 1, function


def test_every_file_belongs_to_a_script() -> None:
    names = {path.name for path in resources.files("pipeline.adapters.redis.scripts").iterdir()}
    files = {name.removesuffix(".lua") for name in names if name.endswith(".lua")}
    assert files - set(NAMES) == {
        *(
            "admission",
            "basics",
            "hashes",
            "joining",
            "lib",
            "lifecycle",
            "owners",
            "queue",
            "record",
            "release",
            "rights",
        ),
        *("room", "volume", "volume_upgrade"),
    }
