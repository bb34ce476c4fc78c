INSERT INTO content_segments (content_id, number, size_bytes, etag, stored_as, stored_number, crc32c)
SELECT $1, * FROM unnest($2::integer[], $3::bigint[], $4::text[], $5::uuid[], $6::integer[], $7::bigint[])
