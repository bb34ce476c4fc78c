"""The links of uploads, imports and contents: one table says which route applies to which transport and status.

Guarantee: a link leads to a route of the route table, at the address that this client used (`gateway.http.links`), and
is null exactly where that route would refuse the request because of the transport or because the upload has ended. A
test compares the table with the route table: every route below an upload or a content is linked.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from pipeline.core.lifecycle import ENDED, Status
from pipeline.core.stages import Stage
from pipeline.core.transports import TRANSPORTS, Transport
from schemas.content import ContentLinks
from schemas.imports import ImportLinks
from schemas.uploads import UploadLinks


@dataclass(frozen=True, slots=True)
class Link:
    """A link to the route `path`, for uploads with one of these transports and statuses."""

    path: str
    transports: Collection[Transport] = tuple(Transport)
    statuses: Collection[Status] = tuple(Status)


_IN_FLIGHT = tuple(status for status in Status if status not in ENDED)
_BY_CLIENT = tuple(transport for transport, spec in TRANSPORTS.items() if spec.begins is Status.GRANTED)

_OF_CONTENTS = tuple(transport for transport, spec in TRANSPORTS.items() if Stage.THUMBNAIL not in spec.skipped)

UPLOAD_LINKS: Mapping[str, Link] = {
    "self": Link("/v1/uploads/{id}"),
    "events": Link("/v1/uploads/{id}/events"),
    "tickets": Link("/v1/uploads/{id}/tickets"),
    "thumbnail": Link("/v1/uploads/{id}/thumbnail", _OF_CONTENTS, (*_IN_FLIGHT, Status.READY)),
    "segment": Link("/v1/uploads/{id}/segments/{number}", (Transport.GATEWAY,), _IN_FLIGHT),
    "grants": Link("/v1/uploads/{id}/grants", _BY_CLIENT, (Status.GRANTED,)),
    "complete": Link("/v1/uploads/{id}/complete", _BY_CLIENT, _IN_FLIGHT),
    "content": Link("/v1/contents/{id}", statuses=(Status.READY,)),
}
"""Field of `UploadLinks` -> its route."""

CONTENT_LINKS: Mapping[str, str] = {
    "self": "/v1/contents/{id}",
    "download": "/v1/contents/{id}/download",
    "segments": "/v1/contents/{id}/segments",
    "segment": "/v1/contents/{id}/segments/{number}",
    "thumbnail": "/v1/contents/{id}/thumbnail",
    "links": "/v1/contents/{id}/links",
    "receipt": "/v1/contents/{id}/receipt",
}
"""Field of `ContentLinks` -> its route."""


def upload_links(base: str, upload_id: str, transport: Transport, status: Status) -> UploadLinks:
    """`base`: the gateway's URL without a trailing slash. The content has the id of its upload."""
    return UploadLinks.model_validate(
        {
            name: _url(base, link.path, upload_id)
            for name, link in UPLOAD_LINKS.items()
            if transport in link.transports and status in link.statuses
        }
    )


def import_links(base: str, upload_id: str, status: Status) -> ImportLinks:
    """The links of an import. Once it is ready, only its content is certain to exist: the record of its upload is
    removed after a while."""
    links = upload_links(base, upload_id, Transport.IMPORT, status)
    if links.content is not None:
        return ImportLinks(self=None, events=None, content=links.content)
    return ImportLinks(self=links.self, events=links.events, content=None)


def content_links(base: str, content_id: str, *, thumbnail: bool, receipt: bool) -> ContentLinks:
    """`thumbnail`: whether the content has one. `receipt`: whether receipts are offered."""
    offered = {"thumbnail": thumbnail, "receipt": receipt}
    links = {
        name: _url(base, path, content_id) if offered.get(name, True) else None for name, path in CONTENT_LINKS.items()
    }
    return ContentLinks.model_validate(links)


def _url(base: str, path: str, identifier: str) -> str:
    return base + path.replace("{id}", identifier)
