"""Example bodies of responses and requests, from the examples of the models.

Guarantee: an example is composed as the body itself is: a page holds examples of its items, an envelope holds its data.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from gateway.routing import ResponseSpec
from schemas.http import Page


def example_of(model: type[BaseModel]) -> Any:
    """The first example of a model, or a page with the first example of its items. None: it has no example."""
    generic = model.__pydantic_generic_metadata__
    if generic["origin"] is Page:
        item = example_of(generic["args"][0])
        return None if item is None else {"items": [item], "next_cursor": None}
    extra = model.model_config.get("json_schema_extra")
    found = extra.get("examples") if isinstance(extra, dict) else None
    return found[0] if isinstance(found, list) and found else None


def example_body(response: ResponseSpec) -> Any:
    """The whole body of an example of this response. None: there is none."""
    if response.data is None:
        return response.example
    data = example_of(response.data) if response.example is None else response.example
    if response.bare:
        return data
    return None if data is None else {"success": True, "status": response.status, "data": data}
