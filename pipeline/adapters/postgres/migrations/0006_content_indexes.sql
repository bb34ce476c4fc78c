-- One index for each column that `GET /v1/contents` filters and sorts by. (created_at, id) makes positions unique, so
-- that the next page begins exactly where the last one ended. Each index is read in both directions.
--
-- Reads go on while the indexes are created (about 25 s per million rows). Writes wait: uploads at the stage `persist`,
-- which retries, and deletions. Inside a transaction an index cannot be created without that.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = 0;

CREATE INDEX contents_by_kind ON contents (kind, created_at, id);
-- Without parameters: video/webm for video/webm;codecs=vp9. The beginning only, because an index cannot hold an
-- arbitrarily long text.
CREATE INDEX contents_by_content_type ON contents (left(split_part(content_type, ';', 1), 255), created_at, id);
CREATE INDEX contents_by_container_format ON contents (container_format, created_at, id);
CREATE INDEX contents_by_video_codec ON contents (video_codec, created_at, id);
CREATE INDEX contents_by_audio_codec ON contents (audio_codec, created_at, id);
CREATE INDEX contents_by_size_bytes ON contents (size_bytes, created_at, id);
CREATE INDEX contents_by_duration_seconds ON contents (duration_seconds, created_at, id);
CREATE INDEX contents_by_width ON contents (width, created_at, id);
CREATE INDEX contents_by_height ON contents (height, created_at, id);
CREATE INDEX contents_by_rotation ON contents (rotation, created_at, id);
CREATE INDEX contents_by_bit_rate ON contents (bit_rate, created_at, id);
CREATE INDEX contents_by_frame_rate ON contents (frame_rate, created_at, id);
CREATE INDEX contents_by_channels ON contents (channels, created_at, id);
CREATE INDEX contents_by_sample_rate ON contents (sample_rate, created_at, id);

-- The planner knows nothing about new columns until then.
ANALYZE contents;
