"""Settings of an installation of several cells."""

from __future__ import annotations

from pydantic import BaseModel, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from pipeline.core.cells import CELLS
from pipeline.settings.values import CellUrls


class CellSettings(BaseModel):
    """Which cell this process belongs to, and where clients reach the others."""

    cell: int = Field(
        0,
        ge=0,
        lt=CELLS,
        description="Number of the cell, which the ids of its uploads contain. Each cell of an installation has its "
        "own, and keeps it",
    )
    cells: CellUrls = Field(
        (),
        description="Every cell of the installation, this one too, as NUMBER=URL separated by commas, such as "
        "`0=https://upload.example/cells/0,1=https://upload.example/cells/1`: the URL at which clients reach the "
        "gateways of that cell. Empty: there is only one cell",
    )

    @field_validator("cells")
    @classmethod
    def _own_too(cls, value: tuple[tuple[int, str], ...], info: ValidationInfo) -> tuple[tuple[int, str], ...]:
        own = info.data.get("cell")
        if value and own is not None and own not in dict(value):
            raise PydanticCustomError("setting", "Must contain the cell of SLUICE_CELL, {own}", {"own": own})
        return value
