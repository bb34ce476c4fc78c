"""Issues the token of an upload to its creator."""

from __future__ import annotations

from aiohttp import web

from gateway.http.state import OPTIONS
from gateway.keys import CALLER, SERVICES
from pipeline.access.authenticator import Issued
from pipeline.core.access import TokenKind
from pipeline.core.model import Upload


def issue_upload_token(request: web.Request, upload: Upload) -> Issued:
    """A token of this upload for the caller."""
    authenticator, seconds = request.app[SERVICES].authenticator, request.app[OPTIONS].upload_token_seconds
    return authenticator.issue(TokenKind.UPLOAD, request[CALLER], upload.owner, upload.upload_id, seconds)
