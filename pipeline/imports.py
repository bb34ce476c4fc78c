"""Imports a library without a library that it would import and that Sluice does not use in it.

Such an import costs every process memory and time when it starts: 9 MB for the cryptography behind redis-py's tokens
and behind PyJWT's public keys, 5 MB for rich behind structlog's tracebacks.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


@contextmanager
def without(name: str, *, required: bool = False, private: str | None = None) -> Iterator[None]:
    """While the block runs, module `name` cannot be imported, as if it were not installed. `required`: the importing
    library insists on it and gets an empty module, which has none of the attributes it may use later. `private`: a
    package that the block imports for itself; who imports it afterwards gets one of their own, which is whole.

    Does nothing if module `name` is imported already. Afterwards it can be imported as ever. Not for use beside threads
    that import."""
    if name in sys.modules or private in sys.modules:
        yield
        return
    # None: the import system raises ModuleNotFoundError (https://docs.python.org/3/reference/import.html, 5.3.1).
    sys.modules[name] = ModuleType(name) if required else None  # type: ignore[assignment]  # typeshed has no None here
    try:
        yield
    finally:
        del sys.modules[name]
        for imported in [known for known in sys.modules if private in (known, known.partition(".")[0])]:
            del sys.modules[imported]
