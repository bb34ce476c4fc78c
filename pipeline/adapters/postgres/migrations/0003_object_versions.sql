-- An object that was imported may be replaced by its owner under the same key: each version is a content of its own.
-- Keys that we make are never used twice, so for them nothing changes.
ALTER TABLE contents DROP CONSTRAINT contents_store_container_object_key_key;
ALTER TABLE contents ADD CONSTRAINT contents_object_version UNIQUE (store, container, object_key, etag);
