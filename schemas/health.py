"""Health of a gateway, as the API shows it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict


class Alive(BaseModel):
    """The process responds. Says nothing about its dependencies."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [{"alive": True}]})

    alive: Literal[True] = True


class Room(BaseModel):
    """The room of the cell, as a basis for choosing the cell of a new upload: bytes, and numbers of uploads."""

    model_config = ConfigDict(frozen=True)

    budget: int = Field(description="Bytes that all uploads together may reserve")
    reserved: int = Field(description="Bytes that are reserved now")
    available: int = Field(
        description="Bytes that could be reserved now, of the budget or, if that is less, of the disk as it was last "
        "measured. Uploads that wait get them first"
    )
    waiting: int = Field(description="Uploads that wait for room")
    draining: bool = Field(description="True: new uploads are refused with VOLUME_DRAINING; those that it has continue")


_ROOM: JsonDict = {
    "budget": 214748364800,
    "reserved": 8589934592,
    "available": 206158430208,
    "waiting": 0,
    "draining": False,
}


class Ready(BaseModel):
    """Every dependency that requests need is available."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={"examples": [{"ready": True, "warnings": {}, "cell": 0, "volume": "main", "room": _ROOM}]},
    )

    ready: Literal[True] = True
    warnings: dict[str, str] = Field(
        default_factory=dict,
        description="Problems that an operator should fix although requests are served: dependency -> problem",
    )
    cell: int | None = Field(None, description="Number of the cell that the gateway belongs to")
    volume: str | None = Field(None, description="Name of the cell's temp volume, which no other cell has")
    room: Room | None = Field(None, description="Null: not known at the moment")
