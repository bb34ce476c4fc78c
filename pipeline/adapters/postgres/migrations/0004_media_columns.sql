-- Typed columns for what users filter and sort by. Until now these values existed only in the jsonb `media`.
--
-- A trigger derives the columns from `media`, so every row has them, also one that a process of an older version writes,
-- which does not know the columns. The columns cannot differ from `media`, and code never writes them. A generated
-- column would give the same, but adding one rewrites the table while nobody can read it. Adding empty columns takes
-- milliseconds; 0005 fills existing rows and 0006 creates the indexes, each in a transaction of its own.
--
-- The lock is given up after five seconds, because everything that uses the table waits behind it: if a long query or a
-- pg_dump is running, migrate again later.
SET LOCAL lock_timeout = '5s';

-- Names of codecs and formats are ASCII; "C" sorts them in the same way on every server.
ALTER TABLE contents
    ADD COLUMN container_format  text COLLATE "C",   -- mp4, webm, mp3, jpeg, ...; `container` is the object's bucket
    ADD COLUMN video_codec       text COLLATE "C",   -- of the picture, so images have one too; not of cover art
    ADD COLUMN audio_codec       text COLLATE "C",   -- of the default audio stream, else of the first one
    ADD COLUMN bit_rate          bigint,             -- bits per second of the whole file
    -- Not an exact number: 30000/1001 has none. `media` has six decimals (29.97003), and so has this column.
    ADD COLUMN frame_rate        double precision,
    ADD COLUMN channels          integer,
    ADD COLUMN sample_rate       integer,            -- Hz
    ADD COLUMN rotation          integer;            -- degrees clockwise: 0, 90, 180 or 270

-- Any JSON gives a row: a value of another type or out of range gives NULL. The conditions of a path never raise, unlike
-- casts. Only built-in functions are called, so the function works with any search_path.
CREATE FUNCTION contents_fill_media_columns() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    picture jsonb;
    sound jsonb;
BEGIN
    -- The same streams as `MediaMetadata.picture` and the columns width and height.
    SELECT stream INTO picture
    FROM jsonb_path_query(NEW.media, '$.streams[*] ? (@.type == "video")') WITH ORDINALITY AS found (stream, number)
    WHERE stream -> 'attached_picture' IS DISTINCT FROM 'true'
    ORDER BY stream -> 'default' IS NOT DISTINCT FROM 'true' DESC,
             jsonb_path_query_first(stream, '$.index ? (@ >= 0)')::numeric NULLS LAST, number
    LIMIT 1;
    SELECT stream INTO sound
    FROM jsonb_path_query(NEW.media, '$.streams[*] ? (@.type == "audio")') WITH ORDINALITY AS found (stream, number)
    ORDER BY stream -> 'default' IS NOT DISTINCT FROM 'true' DESC,
             jsonb_path_query_first(stream, '$.index ? (@ >= 0)')::numeric NULLS LAST, number
    LIMIT 1;

    -- A longer text might not fit into an index.
    NEW.container_format := left(jsonb_path_query_first(NEW.media, '$.container ? (@.type() == "string")') #>> '{}', 64);
    NEW.video_codec := left(jsonb_path_query_first(picture, '$.codec ? (@.type() == "string")') #>> '{}', 64);
    NEW.audio_codec := left(jsonb_path_query_first(sound, '$.codec ? (@.type() == "string")') #>> '{}', 64);
    NEW.bit_rate := jsonb_path_query_first(NEW.media, '$.bit_rate ? (@ >= 0 && @ <= 9223372036854775807)')::bigint;
    -- Rounded before the cast: a number below the smallest double would raise.
    NEW.frame_rate := nullif(round(
        jsonb_path_query_first(picture, '$.frame_rate ? (@ > 0 && @ <= 1000000)')::numeric, 6), 0)::double precision;
    NEW.channels := jsonb_path_query_first(sound, '$.channels ? (@ >= 1 && @ <= 2147483647)')::integer;
    NEW.sample_rate := jsonb_path_query_first(sound, '$.sample_rate ? (@ >= 1 && @ <= 2147483647)')::integer;
    NEW.rotation := jsonb_path_query_first(
        picture, '$.rotation ? (@ == 0 || @ == 90 || @ == 180 || @ == 270)')::integer;
    RETURN NEW;
END
$$;

CREATE TRIGGER contents_media_columns BEFORE INSERT OR UPDATE ON contents
FOR EACH ROW EXECUTE FUNCTION contents_fill_media_columns();

-- Dropped here, where the table is locked anyway. 0006 creates an index that lists a kind in both directions.
DROP INDEX contents_newest_of_kind;
