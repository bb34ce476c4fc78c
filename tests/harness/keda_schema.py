"""What a ScaledObject of KEDA may contain, as JSON Schema: the fields that our manifests use, and no others.

Written for this project, and compared with the custom resource definition and the Prometheus scaler of KEDA 2.20.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

Schema = Mapping[str, Any]

_COUNT: Final[Schema] = {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}
_NAME: Final[Schema] = {"type": "string", "minLength": 1}
_NUMBER: Final[Schema] = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?$"}


def _fields(required: tuple[str, ...] = (), /, **properties: Schema) -> Schema:
    return {"type": "object", "additionalProperties": False, "required": list(required), "properties": properties}


_SCALE_DOWN: Final = _fields(
    stabilizationWindowSeconds={"type": "integer", "minimum": 0, "maximum": 3600},
    policies={
        "type": "array",
        "items": _fields(
            ("type", "value", "periodSeconds"),
            type={"enum": ["Pods", "Percent"]},
            value={"type": "integer", "minimum": 1},
            periodSeconds={"type": "integer", "minimum": 1, "maximum": 1800},
        ),
    },
)

# Every value of a trigger's metadata is a string.
_PROMETHEUS: Final = _fields(
    ("serverAddress", "query", "threshold"),
    serverAddress=_NAME,
    query=_NAME,
    threshold=_NUMBER,
    activationThreshold=_NUMBER,
    ignoreNullValues={"enum": ["true", "false"]},
)

SCALED_OBJECT: Final = _fields(
    ("apiVersion", "kind", "metadata", "spec"),
    apiVersion={"const": "keda.sh/v1alpha1"},
    kind={"const": "ScaledObject"},
    metadata={"type": "object", "required": ["name", "namespace"]},
    spec=_fields(
        ("scaleTargetRef", "triggers"),
        scaleTargetRef=_fields(("name",), name=_NAME),
        minReplicaCount=_COUNT,
        maxReplicaCount={**_COUNT, "minimum": 1},
        pollingInterval={**_COUNT, "minimum": 1},
        cooldownPeriod=_COUNT,
        fallback=_fields(
            ("failureThreshold", "replicas"),
            failureThreshold=_COUNT,
            replicas=_COUNT,
            behavior={"enum": ["static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower"]},
        ),
        advanced=_fields(
            horizontalPodAutoscalerConfig=_fields(behavior=_fields(scaleDown=_SCALE_DOWN)),
        ),
        triggers={
            "type": "array",
            "minItems": 1,
            "items": _fields(("type", "metadata"), type={"const": "prometheus"}, name=_NAME, metadata=_PROMETHEUS),
        },
    ),
)
"""A ScaledObject whose triggers are queries of Prometheus with a target per replica (`AverageValue`, the default)."""
