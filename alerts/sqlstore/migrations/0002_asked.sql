-- What a second request with the same key is held against is the request as it
-- was asked (asked), no longer the teams that came of it. An order without it
-- is compared by its own columns.
ALTER TABLE orders ADD COLUMN asked TEXT NOT NULL DEFAULT '';
ALTER TABLE orders DROP COLUMN content_hash;
