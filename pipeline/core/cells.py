"""Which cell an upload belongs to: its id says so.

The id is a UUIDv7 (RFC 9562 section 5.7). The first eight bits after its version, two hexadecimal digits of the text,
are the number of the cell: `01999c2e-6f00-7` + `0c` + `4-...` is of cell 12. So a proxy can read it with a pattern.
The other 66 random bits stay random.

Guarantee: every id of this form has a number. Ids that earlier releases made have a random one, so an id alone does
not prove that its cell has made it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final
from uuid import UUID

CELLS: Final = 256
"""How many numbers there are: 0 to 255."""

_SHIFT: Final = 68  # below the version's four bits: 12 bits of `rand_a`, of which the cell has the upper 8
_MASK: Final = (CELLS - 1) << _SHIFT


def in_cell(upload_id: UUID, cell: int) -> UUID:
    """The id with the number of a cell in place of the bits that it has there. Raises ValueError for a number that is
    not one of a cell, and for an id that is not a UUIDv7."""
    if not 0 <= cell < CELLS:
        raise ValueError(f"a cell's number is 0 to {CELLS - 1}, not {cell}")
    if upload_id.version != 7:
        raise ValueError(f"{upload_id} is not a UUIDv7")
    return UUID(int=upload_id.int & ~_MASK | cell << _SHIFT)


def cell_of(upload_id: str) -> int | None:
    """The number of the cell that an id names; None: it is not a UUIDv7 as Sluice writes one."""
    try:
        number = UUID(upload_id)
    except ValueError:
        return None
    return (number.int & _MASK) >> _SHIFT if number.version == 7 and str(number) == upload_id else None


def is_of_another(upload_id: str, own: int, cells: Collection[int]) -> bool:
    """Whether an id names another one of these cells, whose Redis alone knows what becomes of the upload."""
    cell = cell_of(upload_id)
    return cell is not None and cell != own and cell in cells
