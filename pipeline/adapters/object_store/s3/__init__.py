"""Amazon S3 and compatible stores."""

from pipeline.adapters.object_store.s3.options import S3Credentials, S3Options
from pipeline.adapters.object_store.s3.store import S3ObjectStore

__all__ = ["S3Credentials", "S3ObjectStore", "S3Options"]
