"""Access to routes: one `Access` for each kind of route says who may call it. The route table names one per route.

Guarantee: a route permits only what its `Access` names. `gateway.authentication` enforces it before a handler runs and
before a byte of a body is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pipeline.core.access import Caller, Scope, TokenKind


@dataclass(frozen=True, slots=True)
class Access:
    """`scopes`: a key or token of an identity provider needs one of them. `tokens`: kinds of tokens, signed by Sluice,
    that may call it for their upload, or within their permit. `in_url`: kinds of tokens that the query parameter
    `token` may hold, for browsers that cannot send headers. `in_path`: kinds that the path may hold, for clients that
    can send neither: see `PERMIT_PATH` and `named_upload`. `anyone`: needs no credential. `basic`: also accepts a key
    as the password of Basic authentication, so that a browser asks for it; only for routes that change nothing.
    """

    name: str
    description: str
    scopes: frozenset[Scope] = frozenset()
    tokens: frozenset[TokenKind] = frozenset()
    in_url: frozenset[TokenKind] = frozenset()
    in_path: frozenset[TokenKind] = frozenset()
    anyone: bool = False
    basic: bool = False

    def __str__(self) -> str:
        return self.name

    def permits(self, caller: Caller) -> bool:
        """Whether a caller of this kind may call it at all. Owners of uploads are compared elsewhere."""
        if self.anyone:
            return True
        if caller.token is not None:
            return caller.token in self.tokens or caller.token in self.in_url
        return bool(self.scopes & caller.scopes)

    @property
    def needed(self) -> str:
        """The credentials that permit a call, for messages."""
        scopes = " or ".join(scope for scope in Scope if scope in self.scopes)
        kinds = [kind.described for kind in TokenKind if kind in self.tokens | self.in_url]
        return ", or ".join([f"a key or token with the scope {scopes}", *kinds])


URL_PARAMETER: Final = "token"
"""The query parameter that may hold a token."""

PERMIT_PATH: Final = "/uppy/{permit}"
"""In front of the path of a route with `in_path`: the same route, with a permit in its path."""

TOKEN_MARK: Final = "~"  # noqa: S105  # a separator
"""In a path, between the id of an upload and its token. It is in neither, and no client encodes it."""

_OF_UPLOAD: Final = frozenset({TokenKind.UPLOAD})


def named_upload(text: str) -> tuple[str, str]:
    """The id of an upload or content in a path, and the upload token behind it; "" without one."""
    name, _, token = text.partition(TOKEN_MARK)
    return name, token


PUBLIC: Final = Access("public", "anyone", anyone=True)
STORE: Final = Access("store", "object stores that send notifications, with a secret of their own", anyone=True)
ANY: Final = Access(
    "any", "every key, and every token of an identity provider, that has a scope", frozenset(Scope), basic=True
)
CREATE: Final = Access(
    "create", "the scope `upload`, or a permit", frozenset({Scope.UPLOAD}), frozenset({TokenKind.PERMIT})
)
PERMIT: Final = Access("permit", "the scope `upload`", frozenset({Scope.UPLOAD}))
SEND: Final = Access(
    "send", "the scope `upload` of the owner, or the upload's token", frozenset({Scope.UPLOAD}), _OF_UPLOAD
)
CANCEL: Final = Access(
    "cancel",
    "the scope `upload` of the owner, the upload's token, or the scope `operate`",
    frozenset({Scope.UPLOAD, Scope.OPERATE}),
    _OF_UPLOAD,
)
_OF_CREATOR: Final = frozenset({TokenKind.UPLOAD, TokenKind.PERMIT})

APPEND: Final = Access(
    "append",
    "the scope `upload` of the owner, the upload's token, or the permit that created it",
    frozenset({Scope.UPLOAD}),
    _OF_CREATOR,
)
TERMINATE: Final = Access(
    "terminate",
    f"{APPEND.description}, or the scope `operate`",
    frozenset({Scope.UPLOAD, Scope.OPERATE}),
    _OF_CREATOR,
)
FOLLOW: Final = Access(
    "follow",
    "the scope `upload` or `read` of the owner, the upload's token, or the scope `operate`",
    frozenset(Scope),
    _OF_UPLOAD,
)
STREAM: Final = Access(
    "stream",
    FOLLOW.description + "; the query parameter `token` may hold the upload's token or a ticket",
    frozenset(Scope),
    _OF_UPLOAD,
    frozenset({TokenKind.UPLOAD, TokenKind.TICKET}),
)
CREATE_IN_PATH: Final = Access(
    "create-in-path",
    f"{CREATE.description}, which the path may hold: `{PERMIT_PATH}` in front of it",
    CREATE.scopes,
    CREATE.tokens,
    in_path=CREATE.tokens,
)
SEND_IN_PATH: Final = Access(
    "send-in-path",
    f"{SEND.description}, which the path may hold: it is in the `uploadId` of the creation",
    SEND.scopes,
    SEND.tokens,
    in_path=SEND.tokens,
)
LIST_UPLOADS: Final = Access(
    "list-uploads", "the scope `upload` or `read` lists the owner's, `operate` everybody's", frozenset(Scope)
)
READ: Final = Access(
    "read",
    "the scope `read` of the owner, the token of the upload that became this content, or the scope `operate`",
    frozenset({Scope.READ, Scope.OPERATE}),
    _OF_UPLOAD,
)
DOWNLOAD: Final = Access(
    "download",
    READ.description + "; the query parameter `token` may hold a link's token",
    frozenset({Scope.READ, Scope.OPERATE}),
    _OF_UPLOAD,
    frozenset({TokenKind.LINK}),
)
LIST_CONTENTS: Final = Access(
    "list-contents", "the scope `read` lists the owner's, `operate` everybody's", frozenset({Scope.READ, Scope.OPERATE})
)
DELETE: Final = Access(
    "delete", "the scope `upload` of the owner, or the scope `operate`", frozenset({Scope.UPLOAD, Scope.OPERATE})
)
WEBHOOKS: Final = Access("webhooks", DELETE.description, frozenset({Scope.UPLOAD, Scope.OPERATE}))
OPERATE: Final = Access("operate", "the scope `operate`", frozenset({Scope.OPERATE}))
