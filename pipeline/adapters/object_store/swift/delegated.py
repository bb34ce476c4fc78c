"""Delegated tokens: a client sends segments with a token of a user that was set up for this purpose.

The role of that user decides what else the token can do; it is never the user of this service.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.adapters.object_store.swift.auth import Token
from pipeline.adapters.object_store.swift.layout import SwiftLayout
from pipeline.core.stored_objects import DelegatedToken, ObjectTarget, SegmentRequest

UNKNOWN_LIFETIME_SECONDS = 24 * 3600
"""Assumed for a token whose server does not say how long it lives."""


def delegated_token(token: Token, layout: SwiftLayout, target: ObjectTarget, numbers: Sequence[int]) -> DelegatedToken:
    """The token, with the requests that it is meant for."""
    requests: list[SegmentRequest] = []
    for number in numbers:
        path, content_type = layout.destination(target, number)
        headers = {"X-Auth-Token": token.value, "Content-Type": content_type}
        requests.append(SegmentRequest(number, target.plan.length(number), token.client_url + path, headers=headers))
    seconds = int(token.lifetime_seconds or UNKNOWN_LIFETIME_SECONDS)
    return DelegatedToken(token.value, token.client_url, seconds, tuple(requests))
