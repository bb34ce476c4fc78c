"""The reference of commands in docs/reference/commands.md: what `--help` prints for each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import click

from deploy.cli.root import COMMANDS, sluice

_COLUMNS: Final = 100


def command_reference() -> str:
    """A section for each command, and for each command of a group, in Markdown."""
    root = click.Context(sluice, info_name="sluice", terminal_width=_COLUMNS, **sluice.context_settings)
    return "\n".join(_sections(sluice, root, COMMANDS, "###")).rstrip()


def _sections(group: click.Group, parent: click.Context, names: Iterable[str], mark: str) -> Iterator[str]:
    """Of these commands of a group. Raises LookupError for a name that it does not know."""
    for name in names:
        command = group.get_command(parent, name)
        if command is None:
            raise LookupError(f"{parent.command_path} has no command {name}")
        context = click.Context(
            command, parent=parent, info_name=name, terminal_width=_COLUMNS, **command.context_settings
        )
        yield f"{mark} {context.command_path}"
        yield from ("```text", command.get_help(context).rstrip(), "```", "")
        if isinstance(command, click.Group):
            yield from _sections(command, context, command.list_commands(context), f"{mark}#")
