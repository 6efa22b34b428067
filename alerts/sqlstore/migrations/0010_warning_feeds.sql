-- How the polling of each feed of warnings goes. A feed that was never read
-- (fresh_ms is NULL) is as unknown as a stale one.
CREATE TABLE warning_feeds (
  name      {key} PRIMARY KEY,
  since_ms  BIGINT,
  polled_ms BIGINT,
  fresh_ms  BIGINT,
  stale_ms  BIGINT NOT NULL,
  fault     TEXT NOT NULL
);
