"""Imports a library without a library that it would import and that Sluice does not use in it.

Such an import costs every process memory and time when it starts: 9 MB for the cryptography behind redis-py's tokens,
5 MB for rich behind structlog's tracebacks.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


@contextmanager
def without(name: str, *, required: bool = False) -> Iterator[None]:
    """While the block runs, module `name` cannot be imported, as if it were not installed. `required`: the importing
    library insists on it and gets an empty module, which has none of the attributes it may use later.

    Does nothing if the module is imported already. Afterwards it can be imported as ever. Not for use beside threads
    that import."""
    if name in sys.modules:
        yield
        return
    # None: the import system raises ModuleNotFoundError (https://docs.python.org/3/reference/import.html, 5.3.1).
    sys.modules[name] = ModuleType(name) if required else None  # type: ignore[assignment]  # typeshed has no None here
    try:
        yield
    finally:
        del sys.modules[name]
