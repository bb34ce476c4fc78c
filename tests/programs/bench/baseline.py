"""Another version of Sluice beside this one: a checkout with its own `.venv` runs its own test bed.

Its processes, its servers and its code that starts them are those of the checkout; only the client that measures is
this version's.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

_SERVE = """
import json, sys
from pathlib import Path
from tests.programs.bench.bed import open_bed
with open_bed(Path(sys.argv[1])) as bed:
    print(json.dumps({"url": bed.url, "groups": bed.groups()}), flush=True)
    sys.stdin.read()
"""


@dataclass(frozen=True, slots=True)
class Baseline:
    """The running bed of another version: its URL, and its process ids by role."""

    url: str
    groups: Mapping[str, Sequence[int]]


@contextmanager
def open_baseline(checkout: Path, directory: Path) -> Iterator[Baseline]:
    """Run the checkout's test bed in `directory` during the block. Raises click.ClickException when it cannot start."""
    python = checkout.resolve() / ".venv" / "bin" / "python"
    if not python.exists():
        raise click.ClickException(f"{python} does not exist: run `make setup` in {checkout}")
    directory.mkdir(parents=True)
    with subprocess.Popen(
        [str(python), "-c", _SERVE, str(directory.resolve())],
        cwd=checkout,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            if not line:
                raise click.ClickException(f"the version in {checkout} did not start")
            yield Baseline(**json.loads(line))
        finally:
            process.stdin.close()  # its bed stops, and the process ends
