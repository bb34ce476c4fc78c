"""`python -m deploy.container.healthcheck`: exit status 0 while the Sluice process of this container is alive.

Guarantee: it reads SLUICE_HOST, SLUICE_PORT and SLUICE_METRICS_PORT as the process does, requests /healthz, and ends
within four seconds. It imports only the standard library, since it runs every few seconds.

A container runs one process, a gateway or a worker: the first of the two ports that responds is the process's own.
"""

from __future__ import annotations

import http.client
import os
import sys
from collections.abc import Mapping
from typing import Final

_SECONDS: Final = 2.0
_WILDCARDS: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # compared, not bound
_PORTS: Final = ("SLUICE_PORT", "SLUICE_METRICS_PORT")


def is_alive(environment: Mapping[str, str]) -> bool:
    """Whether a gateway or worker with these variables responds to /healthz with 200."""
    host = environment.get("SLUICE_HOST", "")
    ports = dict.fromkeys(filter(None, (environment.get(name) for name in _PORTS)))
    return any(_responds(_WILDCARDS.get(host, host), int(port)) for port in ports)


def _responds(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=_SECONDS)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if is_alive(os.environ) else "no response from /healthz")
