SELECT c.id, c.filename, c.content_type, c.created_at, c.kind, c.size_bytes, c.duration_seconds, c.width, c.height,
       c.container_format, c.video_codec, c.audio_codec, c.bit_rate, c.frame_rate, c.channels, c.sample_rate,
       c.rotation, c.store, c.container, c.object_key, c.etag, c.thumbnail, c.media, c.metadata, c.owner, c.crc32c,
       (SELECT count(*) FROM content_segments s WHERE s.content_id = c.id) AS segment_count
FROM contents c
WHERE c.id = $1 AND ($2::text IS NULL OR c.owner = $2)
