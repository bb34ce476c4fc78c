"""OpenStack Swift, and the logins for it."""

from pipeline.adapters.object_store.swift.auth import SwiftAuth, Token, TokenSource
from pipeline.adapters.object_store.swift.keystone import Endpoint, KeystoneApplicationCredential, KeystonePassword
from pipeline.adapters.object_store.swift.options import SwiftOptions
from pipeline.adapters.object_store.swift.store import ClientAccess, SwiftObjectStore
from pipeline.adapters.object_store.swift.tempauth import TempAuth
from pipeline.adapters.object_store.swift.tempurl import TempUrlSigner

__all__ = [
    "ClientAccess",
    "Endpoint",
    "KeystoneApplicationCredential",
    "KeystonePassword",
    "SwiftAuth",
    "SwiftObjectStore",
    "SwiftOptions",
    "TempAuth",
    "TempUrlSigner",
    "Token",
    "TokenSource",
]
