"""Settings of connections: of clients to a gateway, and of a process to Redis."""

from __future__ import annotations

from pydantic import BaseModel, Field

from pipeline.settings.values import NetworkList


class ConnectionSettings(BaseModel):
    """How many connections and event streams one gateway serves, and how many connections one process has to Redis."""

    connections: int = Field(
        0,
        ge=0,
        description="Connections of clients that one gateway accepts; 0: as many as its limit of open files permits, "
        "up to 4,096. At the limit, the connection that has been idle longest is closed for a new one",
    )
    connections_per_address: int = Field(
        256,
        ge=0,
        description="Connections from one address, or from one IPv6 network /64, that one gateway accepts. At the "
        "limit, an idle one is closed for a new one; if none is idle, the new one gets 503. 0: no limit",
    )
    trusted_proxies: NetworkList = Field(
        (),
        description="Addresses and networks of your proxies, separated by commas. The limits per address, of "
        "connections and of failed authentications, do not apply to them",
    )
    owner_streams: int = Field(
        100,
        ge=1,
        description="Event streams of one owner that one gateway serves at once; further ones get 429. No limit while "
        "SLUICE_AUTH is `none`",
    )
    streams: int = Field(
        2000, ge=1, description="Event streams that one gateway serves at once, for all owners; further ones get 503"
    )
    owner_downloads: int = Field(
        64,
        ge=1,
        description="Downloads of one owner that one gateway streams at once; further ones get 429. No limit while "
        "SLUICE_AUTH is `none`",
    )
    redis_connections: int = Field(
        64,
        ge=4,
        description="Connections to Redis per process; a command waits up to 5 s for a free one. A process has "
        "one more for signals, and a worker up to 4 more for each of its queues",
    )
