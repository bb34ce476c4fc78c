"""TLS towards servers that Sluice calls by HTTP: certificates and host names are always verified.

Guarantee: a connection is refused unless the server proves its name with a certificate of a CA that the system trusts,
or of one in `ca_file`. No setting disables that.

A context with the certificates of the system's CAs takes a megabyte. It is made when a connection with TLS begins, so a
process that has none does not have it.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any, Final, Self

_SET_PATHS: Final = "set_default_verify_paths"


class DeferredContext(ssl.SSLContext):
    """Stands for the context of a client that `make` returns, which is made when the first connection begins. By itself
    it trusts no certificate."""

    def __new__(cls, make: Callable[[], ssl.SSLContext]) -> Self:
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT, make)

    def __init__(self, make: Callable[[], ssl.SSLContext]) -> None:
        self._make = make
        self._made: ssl.SSLContext | None = None
        self._protocols: Iterable[str] | None = None

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        self._protocols = alpn_protocols

    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
        """What asyncio calls for each connection."""
        return self._context().wrap_bio(*args, **options)

    def wrap_socket(self, *args: Any, **options: Any) -> ssl.SSLSocket:
        return self._context().wrap_socket(*args, **options)

    def _context(self) -> ssl.SSLContext:
        if self._made is None:
            self._made = self._make()
            if self._protocols is not None:
                self._made.set_alpn_protocols(self._protocols)
        return self._made


@contextmanager
def deferred_contexts() -> Iterator[None]:
    """While the block runs, `ssl.create_default_context` returns contexts that are made at their first connection, and
    `set_default_verify_paths` does nothing. For the import of a library that makes contexts which it may not need; not
    for use beside threads that make contexts."""
    real = ssl.create_default_context
    ssl.create_default_context = lambda *args, **options: DeferredContext(partial(real, *args, **options))
    setattr(ssl.SSLContext, _SET_PATHS, lambda self: None)  # hides the method of its base
    try:
        yield
    finally:
        ssl.create_default_context = real
        delattr(ssl.SSLContext, _SET_PATHS)


def verifying(ca_file: Path | None) -> ssl.SSLContext:
    """A context for clients. Raises OSError for a file that cannot be used."""
    if ca_file is None:
        return _of_system()
    context = ssl.create_default_context()
    context.load_verify_locations(cafile=ca_file)
    return context


@cache
def _of_system() -> ssl.SSLContext:
    """One for all clients of a process."""
    return DeferredContext(ssl.create_default_context)
