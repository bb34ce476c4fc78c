"""Tries an installed wheel: every module of ours imports, every file they read at run time is in it.

    python -I -m deploy.check_wheel

Run by `make wheel` with the empty environment's interpreter from another directory, so that nothing of the working tree
is found by accident. Modules of optional extras and of the servers' own environment are not imported.
"""

import importlib
import importlib.resources
import pkgutil
import sys
from importlib.resources.abc import Traversable

PACKAGES = ("schemas", "pipeline", "workers", "gateway", "deploy")
DATA_SUFFIXES = (".lua", ".sql", ".html", ".css", ".js")
# aiobotocore is an extra; scripts in `inside` belong to the servers' environment; this module runs already.
NOT_IMPORTED = ("pipeline.adapters.object_store.s3", "deploy.embedded.inside", "deploy.check_wheel")


def data_files(directory: Traversable) -> int:
    """How many data files lie below; each is read."""
    count = 0
    for entry in directory.iterdir():
        if entry.is_dir():
            count += data_files(entry)
        elif entry.name.endswith(DATA_SUFFIXES):
            if not entry.read_text("utf-8").strip():
                sys.exit(f"{entry} is empty")
            count += 1
    return count


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
        sys.exit("the wheel holds no .lua or .sql file")
    sys.stdout.write(f"the wheel works: {modules} modules imported, {files} data files read\n")


if __name__ == "__main__":
    main()
