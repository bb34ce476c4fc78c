"""The root of the `sluice` command: a table of subcommands, each imported only when it is called.

Guarantee: `sluice --help` imports no library but click, so it is fast. Every command ends with a status: 0, 1 for an
error, 2 for a wrong command line, 130 when it was interrupted. An error is printed in one line, never as a traceback,
unless --debug or SLUICE_DEBUG asks for one. A closed pipe behind standard output is not an error that is printed.
"""

from __future__ import annotations

import errno
import importlib
import keyword
import logging
import os
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import click

from deploy.cli.allocator import keep_blocks

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "up": ("deploy.cli.up", "Run all of Sluice on this machine, in one directory."),
    "upload": ("deploy.cli.upload", "Send files to a gateway; resumes after an interruption."),
    "status": ("deploy.cli.status", "Show uploads, or one upload with its stages."),
    "import": ("deploy.cli.import_objects", "Import objects that are already in the store."),
    "gateway": ("deploy.cli.serve", "Run one gateway."),
    "worker": ("deploy.cli.serve", "Run one worker process, for one or more stages."),
    "key": ("deploy.cli.key", "Create, list and revoke API keys."),
    "webhook": ("deploy.cli.webhook", "Manage webhooks: create, test, replay, pause and delete them."),
    "receipt": ("deploy.cli.receipt", "Fetch and verify receipts: what a server has signed about a content's bytes."),
    "migrate": ("deploy.cli.serve", "Bring the database schema up to date."),
    "drain": ("deploy.cli.drain", "Let a cell take no new uploads, and wait until it is empty."),
    "recover": ("deploy.cli.recover", "Rebuild in Redis what it has lost, from the temp volume."),
    "replay": ("deploy.cli.replay", "Run a stage again for stored contents: new thumbnails, new columns."),
    "verify": ("deploy.cli.verify", "Compare the rows of contents with the objects in the stores."),
    "doctor": ("deploy.cli.doctor", "Check everything that Sluice depends on, and say how to fix it."),
    "plan": ("deploy.cli.plan", "Show what a load needs: temp volume, processes, Redis and PostgreSQL."),
}
"""Command name -> the module that defines it, and its line in `sluice --help`."""

_FAILED: Final = 1
_INTERRUPTED: Final = 130  # 128 + SIGINT, as shells report it
_DEBUG: Final = "sluice.debug"


class RootGroup(click.Group):
    """A group whose commands are imported when they are called, and the one place where errors are printed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        attribute = f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name  # PEP 8: `import_` for `import`
        command: click.Command = getattr(importlib.import_module(COMMANDS[cmd_name][0]), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """Run the command and exit. With `standalone_mode=False`, return or raise as click does."""
        run: Callable[..., Any] = super().main
        if not standalone_mode:
            return run(*args, standalone_mode=False, **extra)
        state: dict[str, bool] = extra.setdefault("obj", {})
        state[_DEBUG] = os.environ.get("SLUICE_DEBUG", "").lower() not in ("", "0", "false", "no")
        try:
            try:
                status = run(*args, standalone_mode=False, **extra)
            except SystemExit as end:
                status = end.code
            if sys.stdout is not None:
                sys.stdout.flush()
        except click.ClickException as error:
            error.show()
            status = error.exit_code
        except (click.Abort, KeyboardInterrupt):
            click.echo("Interrupted.", err=True)
            status = _INTERRUPTED
        except Exception as error:  # noqa: BLE001  # the last resort: no error may reach the user as a traceback
            status = _report(error, debug=state[_DEBUG])
        sys.exit(status if isinstance(status, int) else 0)


def _set_debug(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        ctx.find_root().ensure_object(dict)[_DEBUG] = True


@click.command(cls=RootGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sluice", prog_name="sluice", message="%(prog)s %(version)s")
@click.option(
    "--debug",
    is_flag=True,
    expose_value=False,
    callback=_set_debug,
    help="Print the traceback of an error too. SLUICE_DEBUG=1 does the same.",
)
@click.pass_context
def sluice(ctx: click.Context) -> None:
    """Sluice receives large videos and images in segments, and turns each file into a stored object, a metadata row
    and a thumbnail.

    \b
    sluice up --demo          try it on this machine
    sluice upload film.mp4    send a file to a running gateway

    `gateway`, `worker`, `key`, `webhook`, `migrate`, `drain`, `recover`, `replay` and `doctor` read their settings from
    SLUICE_* environment variables.
    """
    if not ctx.ensure_object(dict).get(_DEBUG):
        # asyncio logs the traceback of a task that nobody awaited. A process that configures logging still shows it.
        logging.getLogger("asyncio").addHandler(logging.NullHandler())


def _report(error: Exception, *, debug: bool) -> int:
    """Print what happened. Returns the exit status."""
    from deploy.cli.failures import is_expected, leaves, sentence

    if any(_is_closed_output(leaf) for leaf in leaves(error)):
        _discard_output()
        return _FAILED
    if debug:
        traceback.print_exception(error)
    hint = "" if debug or is_expected(error) else " Set SLUICE_DEBUG=1 to see the traceback, and please report it."
    with suppress(OSError):  # standard error may be closed as well
        click.echo(f"Error: {sentence(error)}{hint}", err=True)
    _discard_output()
    return _FAILED


def _is_closed_output(error: BaseException) -> bool:
    """Whether `error` came from standard output, and not from a connection that was closed."""
    from deploy.cli.output import OutputError, reader_has_gone

    if isinstance(error, OutputError):
        return error.closed
    return isinstance(error, OSError) and error.errno == errno.EPIPE and reader_has_gone()


def _discard_output() -> None:
    """Discard what cannot be written, so that the interpreter's own flush at exit does not fail."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def main() -> None:
    """The console script `sluice`. What its processes write is for their user only."""
    os.umask(0o077)
    keep_blocks()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # None when it is closed
            stream.reconfigure(errors="backslashreplace")  # a terminal that is not UTF-8, a name that is not
    sluice(prog_name="sluice")
