"""What one object may consist of, per dialect: presets for `StoreLimits`.

Guarantee: no plan made with these is refused by a server with its defaults. A server may be set up otherwise; Swift
says so at `/info` (`SwiftObjectStore.discover_limits`), S3 says so nowhere.
"""

from __future__ import annotations

from pipeline.core.segments import MEBIBYTE, StoreLimits

GIBIBYTE = 1024 * MEBIBYTE
TEBIBYTE = 1024 * GIBIBYTE

# Swift: `max_manifest_segments` of the slo middleware, `max_file_size` of swift.conf (5 GiB + 2 bytes), one byte per
# segment at least. A manifest of manifests could hold more; nobody has asked for more than 5 TiB yet.
SWIFT_LIMITS = StoreLimits(
    max_segments=1000,
    min_segment_bytes=1,
    max_segment_bytes=5 * GIBIBYTE,
    max_object_bytes=1000 * 5 * GIBIBYTE,
)

# S3: "Amazon S3 multipart upload limits" of the user guide. Every part but the last has at least 5 MiB.
S3_LIMITS = StoreLimits(
    max_segments=10_000,
    min_segment_bytes=5 * MEBIBYTE,
    max_segment_bytes=5 * GIBIBYTE,
    max_object_bytes=5 * TEBIBYTE,
)

# A directory: nothing but the filesystem's own limits; the count keeps a manifest readable.
FILESYSTEM_LIMITS = StoreLimits(
    max_segments=10_000,
    min_segment_bytes=1,
    max_segment_bytes=5 * GIBIBYTE,
    max_object_bytes=5 * TEBIBYTE,
)
