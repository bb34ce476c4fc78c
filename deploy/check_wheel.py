"""Checks an installed wheel: every module imports without the optional extras, no data file is empty, and the
media reader works.

    python -I -m deploy.check_wheel

`make wheel` runs it with the interpreter of a new environment, from another directory, so that no file of the working
tree is found by accident. The scripts in deploy.embedded.inside belong to the servers' environment and are not
imported, nor are `__main__` modules, which would run.
"""

import asyncio
import base64
import importlib
import importlib.resources
import pkgutil
import sys
from importlib.resources.abc import Traversable

PACKAGES = ("schemas", "pipeline", "workers", "gateway", "deploy")
DATA_SUFFIXES = (".lua", ".sql", ".html", ".css", ".js", ".ts", ".json", ".template")
NOT_IMPORTED = ("deploy.embedded.inside", "deploy.check_wheel")


def data_files(directory: Traversable) -> int:
    """Reads every data file below `directory` and returns how many there are. Exits when one is empty."""
    count = 0
    for entry in directory.iterdir():
        if entry.is_dir():
            count += data_files(entry)
        elif entry.name.endswith(DATA_SUFFIXES):
            if not entry.read_text("utf-8").strip():
                sys.exit(f"{entry} is empty")
            count += 1
    return count


class _Picture:
    """A `ByteSource` of four pixels."""

    content = base64.b64decode("R0lGODdhAgACAIAAAAAAAP///ywAAAAAAgACAAACAoRRADs=")
    size_bytes = len(content)

    async def read(self, offset: int, length: int) -> bytes:
        return self.content[offset : offset + length]


async def check_reader() -> None:
    """The media reader starts as a process of its own, and reads a picture. Exits when it makes no thumbnail."""
    from pipeline.adapters.media.reader import ReaderRules, SandboxedReader

    async with SandboxedReader(ReaderRules(required=False)) as reader:
        frame = (await reader.read(_Picture())).frame
    if frame is None or frame.jpeg is None:
        sys.exit("the media reader makes no thumbnail")


def main() -> None:
    modules = 0
    for name in PACKAGES:
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not module.name.startswith(NOT_IMPORTED) and not module.name.endswith("__main__"):
                importlib.import_module(module.name)
                modules += 1
    files = sum(data_files(importlib.resources.files(name)) for name in PACKAGES)
    if files == 0:
        sys.exit("the wheel contains no data files")
    asyncio.run(check_reader())
    sys.stdout.write(f"the wheel works: {modules} modules imported, {files} data files read\n")


if __name__ == "__main__":
    main()
