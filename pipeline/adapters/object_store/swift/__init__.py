"""OpenStack Swift, and the ways to log in to it."""

from pipeline.adapters.object_store.swift.auth import SwiftAuth, Token, TokenSource
from pipeline.adapters.object_store.swift.keystone import Endpoint, KeystoneApplicationCredential, KeystonePassword
from pipeline.adapters.object_store.swift.options import SwiftOptions
from pipeline.adapters.object_store.swift.store import SwiftObjectStore
from pipeline.adapters.object_store.swift.tempauth import TempAuth
from pipeline.adapters.object_store.swift.tempurl import TempUrlSigner

__all__ = [
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
