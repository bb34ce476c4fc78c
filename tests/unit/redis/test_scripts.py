"""What is true of every script's text."""

from __future__ import annotations

import re

import pytest

from pipeline.adapters.redis.scripts import NAMES, source

pytestmark = pytest.mark.unit

_CALL = re.compile(r"\b(?:redis\.p?call|try|may)\('([A-Z]+)'")


def _commands(text: str) -> set[str]:
    return set(_CALL.findall(text))


def test_every_script_proves_its_rights_first_and_the_probe_runs_every_command() -> None:
    used: set[str] = set()
    for name in NAMES:
        text = source(name)
        rights, scripts = text.partition("local A = ")[::2]
        assert "redis.acl_check_cmd" in rights
        if_told, if_not = rights.split("\nelse\n")
        assert "redis." not in if_told.partition("may('")[2]
        assert _commands(if_told) == _commands(if_not), "every version proves the same"
        used |= _commands(scripts)
    assert _commands(source("server_probe").partition("local A = ")[0]) == used
    probe = _commands(source("server_probe").partition("local LOST = ")[2])
    assert probe | {"TIME"} == used, "lib.lua reads the time in every script"
