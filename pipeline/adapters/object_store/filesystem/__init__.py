"""A directory as an object store, for a laptop or a site with one disk."""

from pipeline.adapters.object_store.filesystem.store import FilesystemObjectStore

__all__ = ["FilesystemObjectStore"]
