"""What the lists and the overview of an installation of several cells have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field


class CellFilter(BaseModel):
    """Query of what spans the cells."""

    cell: int | None = Field(
        None,
        ge=0,
        le=255,
        description="Only this cell, which must be that of the gateway. Missing: every cell of the installation. With "
        "it a gateway asks no other one",
    )


UnreachableCells = Annotated[
    list[int],
    Field(
        description="Cells that have not responded in time, or not with what was asked for: what they hold is missing "
        "here. Always empty where there is one cell"
    ),
]
