"""Reads the files below deploy/container, deploy/compose and deploy/systemd as those who use them do."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click
import yaml

from deploy.cli.root import RootGroup

DEPLOY: Final = Path(__file__).parents[2] / "deploy"
DOCKERFILE: Final = DEPLOY / "container" / "Dockerfile"
COMPOSE: Final = DEPLOY / "compose"
SYSTEMD: Final = DEPLOY / "systemd"
UNITS: Final = ("sluice-gateway@.service", "sluice-worker@.service")
TARGET: Final = "sluice-cell.target"
# The compose specification, "Interpolation": ${NAME}, ${NAME:-default}, ${NAME:?message}, and $$ for a dollar sign.
_VARIABLE: Final = re.compile(r"\$(?:(\$)|\{(\w+)(?::([-?])([^}]*))?\})")


def dockerfile() -> list[tuple[str, str]]:
    """The instructions of the last stage, with their arguments, without comments."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    instructions = [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]
    pairs = [(name, re.sub(r"\s+", " ", argument)) for name, argument in instructions]
    last = max(number for number, (name, _) in enumerate(pairs) if name == "FROM")
    return pairs[last:]


def image(instruction: str) -> str:
    """The argument of the one instruction with this name in the last stage."""
    (found,) = (argument for name, argument in dockerfile() if name == instruction)
    return found


def image_environment() -> dict[str, str]:
    """The variables that the image sets. `$PATH` is that of the image below it."""
    return {name: value.replace("$PATH", os.defpath) for name, value in _assignments(image("ENV")).items()}


def image_command(instruction: str) -> list[str]:
    """The arguments of ENTRYPOINT, CMD or HEALTHCHECK, in the exec form."""
    words: list[str] = json.loads(image(instruction)[image(instruction).index("[") :])
    return words


def health_timing() -> dict[str, str]:
    """The options of HEALTHCHECK, with the names that compose has for them."""
    options = re.findall(r"--([a-z-]+)=(\S+)", image("HEALTHCHECK"))
    return {name.replace("-", "_"): value for name, value in options}


def compose_variables() -> set[str]:
    """The names of the variables that compose.yaml reads from .env."""
    return {name for _, name, _, _ in _VARIABLE.findall((COMPOSE / "compose.yaml").read_text()) if name}


def compose_example() -> dict[str, str]:
    """The variables of .env.example."""
    return _env_file(COMPOSE / ".env.example")


def compose(variables: Mapping[str, str]) -> dict[str, Any]:
    """compose.yaml with these variables filled in. Raises KeyError where a required one is missing or empty."""

    def value(match: re.Match[str]) -> str:
        dollar, name, operator, rest = match.groups()
        if dollar:
            return "$"
        if variables.get(name):
            return variables[name]
        if operator == "-":
            return str(rest)
        raise KeyError(name)

    def filled(node: Any) -> Any:
        if isinstance(node, str):
            return _VARIABLE.sub(value, node)
        if isinstance(node, list):
            return [filled(each) for each in node]
        if isinstance(node, dict):
            return {key: filled(each) for key, each in node.items()}
        return node

    document: dict[str, Any] = filled(yaml.safe_load((COMPOSE / "compose.yaml").read_text()))
    return document


def unit(name: str) -> dict[str, list[str]]:
    """The directives of a unit file: name -> values in their order, as systemd.syntax(7) has them."""
    directives: dict[str, list[str]] = {}
    for line in (SYSTEMD / name).read_text().splitlines():
        if line and line[0] not in "#;[":
            directive, value = line.split("=", 1)
            directives.setdefault(directive, []).append(value)
    return directives


def env_example() -> dict[str, str]:
    """The variables of sluice.env.example."""
    return _env_file(SYSTEMD / "sluice.env.example")


def seconds(duration: str) -> float:
    """A duration such as 20s."""
    match = re.fullmatch(r"(\d+)s", duration)
    assert match is not None, duration
    return float(match[1])


def parse(words: Sequence[str]) -> str:
    """Parse a command line of `sluice` without running it; the name of its command. Raises click.UsageError."""
    program, *arguments = words
    assert program.rpartition("/")[2] == "sluice", words
    root = RootGroup()
    name, command, rest = root.resolve_command(click.Context(root), list(arguments))
    assert command is not None
    command.make_context(name, list(rest))
    return str(name)


def _env_file(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def _assignments(text: str) -> dict[str, str]:
    return dict(word.split("=", 1) for word in shlex.split(text))
