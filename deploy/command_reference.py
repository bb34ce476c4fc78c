"""The reference of commands in docs/reference/commands.md: what `--help` prints for each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import click

from deploy.cli.root import COMMANDS, sluice

_COLUMNS: Final = 100


def command_reference() -> str:
    """A section for each command, and for each command of a group, in Markdown."""
    root = click.Context(sluice, info_name="sluice", terminal_width=_COLUMNS, **sluice.context_settings)
    lines: list[str] = []
    for name in COMMANDS:
        command = sluice.get_command(root, name)
        assert command is not None  # noqa: S101  # the table names it
        lines += _section(command, _below(root, command, name), "###")
    return "\n".join(lines).rstrip()


def _section(command: click.Command, context: click.Context, mark: str) -> Iterator[str]:
    yield f"{mark} {context.command_path}"
    yield from ("```text", command.get_help(context).rstrip(), "```", "")
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            part = command.get_command(context, name)
            assert part is not None  # noqa: S101  # the group lists it
            yield from _section(part, _below(context, part, name), f"{mark}#")


def _below(parent: click.Context, command: click.Command, name: str) -> click.Context:
    return click.Context(command, parent=parent, info_name=name, terminal_width=_COLUMNS, **command.context_settings)
