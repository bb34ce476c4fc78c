"""What one object may consist of in each kind of store: presets for `StoreLimits`.

Guarantee: a server with default settings refuses no plan made with these. A Swift cluster with other settings publishes
them at `/info` (see `swift.limits`); S3 publishes none.
"""

from __future__ import annotations

from pipeline.core.segments import MEBIBYTE, StoreLimits

GIBIBYTE = 1024 * MEBIBYTE
TEBIBYTE = 1024 * GIBIBYTE

# Swift: `max_manifest_segments` of the slo middleware; `max_file_size` of swift.conf (5 GiB + 2 bytes); a segment has
# at least one byte. A manifest of manifests could hold more than the 5,000 GiB.
SWIFT_LIMITS = StoreLimits(
    max_segments=1000,
    min_segment_bytes=1,
    max_segment_bytes=5 * GIBIBYTE,
    max_object_bytes=1000 * 5 * GIBIBYTE,
)

# S3: "Amazon S3 multipart upload limits" of the user guide. Every part except the last has at least 5 MiB.
S3_LIMITS = StoreLimits(
    max_segments=10_000,
    min_segment_bytes=5 * MEBIBYTE,
    max_segment_bytes=5 * GIBIBYTE,
    max_object_bytes=5 * TEBIBYTE,
)

# A directory has only the filesystem's own limits; the number of segments keeps a manifest readable.
FILESYSTEM_LIMITS = StoreLimits(
    max_segments=10_000,
    min_segment_bytes=1,
    max_segment_bytes=5 * GIBIBYTE,
    max_object_bytes=5 * TEBIBYTE,
)
