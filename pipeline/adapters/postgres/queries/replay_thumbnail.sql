-- The key of a content's thumbnail, until the end of the transaction. No row: there is no content.
SELECT thumbnail ->> 'key' AS key FROM contents WHERE id = $1 FOR UPDATE
