"""The root of the `sluice` command: a table of subcommands, each imported only when it is called.

Guarantee: `sluice --help` imports no library but click, so it is fast. An error that Sluice knows is printed as one
sentence, never as a traceback.
"""

from __future__ import annotations

import importlib
import keyword
from typing import Any, Final

import click

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "up": ("deploy.cli.up", "Run all of Sluice on this machine, in one directory."),
    "upload": ("deploy.cli.upload", "Send files to a gateway; resumes after an interruption."),
    "status": ("deploy.cli.status", "Show uploads, or one upload with its stages."),
    "import": ("deploy.cli.import_objects", "Import objects that are already in the store."),
    "gateway": ("deploy.cli.serve", "Run one gateway."),
    "worker": ("deploy.cli.serve", "Run one worker process, for one or more stages."),
    "migrate": ("deploy.cli.serve", "Bring the database schema up to date."),
    "recover": ("deploy.cli.recover", "Rebuild in Redis what it has lost, from the temp volume."),
    "doctor": ("deploy.cli.doctor", "Check everything that Sluice depends on, and say how to fix it."),
}
"""Command name -> the module that defines it, and its line in `sluice --help`."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        attribute = f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name  # PEP 8: `import_` for `import`
        command: click.Command = getattr(importlib.import_module(COMMANDS[cmd_name][0]), attribute)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            sentence = _sentence(error)
            if sentence is None:
                raise
            raise click.ClickException(sentence) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sluice", prog_name="sluice", message="%(prog)s %(version)s")
def sluice() -> None:
    """Sluice receives large videos and images in segments, and turns each file into a stored object, a metadata row
    and a thumbnail.

    \b
    sluice up --demo          try it on this machine
    sluice upload film.mp4    send a file to a running gateway

    `import`, `gateway`, `worker`, `migrate`, `recover` and `doctor` read their settings from SLUICE_* environment
    variables.
    """


def _sentence(error: Exception) -> str | None:
    """The message for an error that Sluice knows; None for any other, whose traceback is more useful."""
    from pydantic import ValidationError

    from deploy.cli.errors import ClientError
    from deploy.embedded import StackError
    from pipeline.bootstrap.listening import CannotListenError
    from pipeline.core.errors import SluiceError

    if isinstance(error, SluiceError):
        return f"{error} [{error.code}]"
    if isinstance(error, ClientError | StackError | CannotListenError):
        return str(error)
    if isinstance(error, ValidationError) and error.title == "Settings":
        wrong = [f"SLUICE_{str(item['loc'][0]).upper()}: {item['msg']}" for item in error.errors(include_input=False)]
        return f"Invalid setting {wrong[0]}" if len(wrong) == 1 else "\n  ".join(["Invalid settings:", *wrong])
    return None


def main() -> None:
    """The console script `sluice`."""
    sluice(prog_name="sluice")
