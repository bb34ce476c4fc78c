-- The owner of an imported object may replace it under the same key; each version is a separate content. Keys created by
-- Sluice are never reused, so nothing changes for them.
ALTER TABLE contents DROP CONSTRAINT contents_store_container_object_key_key;
ALTER TABLE contents ADD CONSTRAINT contents_object_version UNIQUE (store, container, object_key, etag);
