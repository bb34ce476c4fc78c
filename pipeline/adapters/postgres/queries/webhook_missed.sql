-- Up to $1 contents whose event `content.ready` the webhook $2 asks for and has no delivery of, oldest first, after the content
-- ($3, $4), if given. Filters (null: none): $5 owner, $6 id, $7 since, $8 until. Left out: those whose event is going to be
-- released, and those of the last $9 seconds, of which Redis may still hold earlier events. A content cannot be deleted before
-- the end of the transaction, so its deletion is delivered after what this transaction queues.
SELECT c.id, c.filename, c.content_type, c.created_at, c.kind, c.size_bytes, c.duration_seconds, c.width, c.height,
       c.container_format, c.video_codec, c.audio_codec, c.bit_rate, c.frame_rate, c.channels, c.sample_rate,
       c.rotation, c.store, c.container, c.object_key, c.etag, c.thumbnail, c.media, c.metadata, c.owner, c.crc32c,
       (SELECT count(*) FROM content_segments s WHERE s.content_id = c.id) AS segment_count
FROM contents c JOIN webhooks w ON w.id = $2
WHERE (w.owner IS NULL OR w.owner = c.owner) AND (w.events = '{}' OR 'content.ready' = ANY(w.events))
  AND ($3::timestamptz IS NULL OR (c.created_at, c.id) > ($3, $4::uuid))
  AND ($5::text IS NULL OR c.owner = $5)
  AND ($6::uuid IS NULL OR c.id = $6)
  AND ($7::timestamptz IS NULL OR c.created_at >= $7)
  AND ($8::timestamptz IS NULL OR c.created_at < $8)
  AND c.created_at < clock_timestamp() - make_interval(secs => $9)
  AND NOT EXISTS (
      SELECT FROM webhook_deliveries d WHERE d.event_id = c.id::text || '_content-ready' AND d.webhook_id = $2)
  AND NOT EXISTS (
      SELECT FROM webhook_events e WHERE e.id = c.id::text || '_content-ready' AND e.released_at IS NULL)
ORDER BY c.created_at, c.id
LIMIT $1
FOR KEY SHARE OF c, w
