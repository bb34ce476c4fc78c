"""TLS towards servers that Sluice calls by HTTP: certificates and host names are always verified.

Guarantee: a connection is refused unless the server proves its name with a certificate of a CA that the system trusts,
or of one in `ca_file`. No setting disables that.
"""

from __future__ import annotations

import ssl
from pathlib import Path


def verifying(ca_file: Path | None) -> ssl.SSLContext:
    """A context for clients. Raises OSError for a file that cannot be used."""
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    return context
