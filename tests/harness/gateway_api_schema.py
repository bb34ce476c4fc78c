"""What an HTTPRoute of the Gateway API may contain, as JSON Schema: the fields that our manifests use, and no others.

Written for this project, and compared with the custom resource definition of its standard channel: the lengths
and patterns of its fields, and its rule that a prefix is only replaced where it is the one match.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

Schema = Mapping[str, Any]

_LABEL: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_NAME: Final[Schema] = {"type": "string", "minLength": 1, "maxLength": 253}
_NAMESPACE: Final[Schema] = {"type": "string", "maxLength": 63, "pattern": f"^{_LABEL}$"}
_HOST: Final[Schema] = {"type": "string", "maxLength": 253, "pattern": rf"^(\*\.)?{_LABEL}(\.{_LABEL})*$"}
_PATH: Final[Schema] = {"type": "string", "maxLength": 1024, "pattern": r"^/(?!.*(//|/\./|/\.\./|%2[fF]|#))"}
_DURATION: Final[Schema] = {"type": "string", "pattern": "^([0-9]{1,5}(h|m|s|ms)){1,4}$"}
_PORT: Final[Schema] = {"type": "integer", "minimum": 1, "maximum": 65535}


def _fields(required: tuple[str, ...] = (), /, **properties: Schema) -> Schema:
    return {"type": "object", "additionalProperties": False, "required": list(required), "properties": properties}


def _items(items: Schema, most: int, least: int = 0) -> Schema:
    return {"type": "array", "minItems": least, "maxItems": most, "items": items}


def _matches(kinds: Schema, most: int) -> Schema:
    path = _fields(("type", "value"), type=kinds, value=_PATH)
    return _items(_fields(("path",), path=path), most, 1)


_REWRITE: Final = _fields(
    ("type", "urlRewrite"),
    type={"const": "URLRewrite"},
    urlRewrite=_fields(
        ("path",),
        path=_fields(
            ("type", "replacePrefixMatch"),
            type={"const": "ReplacePrefixMatch"},
            replacePrefixMatch={"type": "string", "maxLength": 1024},
        ),
    ),
)

_RULE: Final[Schema] = {
    **_fields(
        ("matches",),
        matches=_matches({"enum": ["Exact", "PathPrefix"]}, 64),
        filters=_items(_REWRITE, 1),
        timeouts=_fields(request=_DURATION),
        backendRefs=_items(_fields(("name", "port"), name=_NAME, port=_PORT), 16),
    ),
    "if": {"required": ["filters"]},
    "then": {"properties": {"matches": _matches({"const": "PathPrefix"}, 1)}},
}

HTTP_ROUTE: Final = _fields(
    ("apiVersion", "kind", "metadata", "spec"),
    apiVersion={"const": "gateway.networking.k8s.io/v1"},
    kind={"const": "HTTPRoute"},
    metadata={"type": "object", "required": ["name", "namespace"]},
    spec=_fields(
        ("parentRefs", "hostnames", "rules"),
        parentRefs=_items(_fields(("name",), name=_NAME, namespace=_NAMESPACE), 32, 1),
        hostnames=_items(_HOST, 16),
        rules=_items(_RULE, 16, 1),
    ),
)
"""An HTTPRoute that matches paths only, and replaces prefixes."""
