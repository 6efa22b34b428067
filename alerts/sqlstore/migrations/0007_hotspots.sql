-- Fires that satellites saw. members are the pixels that were merged, as JSON.
-- judged_ms is NULL while the engine has not seen the row as it is; revision
-- grows with each change of what is judged. The counter is the lock of imports.
CREATE TABLE hotspots (
  id          {key} PRIMARY KEY,
  lat         DOUBLE PRECISION NOT NULL,
  lon         DOUBLE PRECISION NOT NULL,
  size_km     DOUBLE PRECISION NOT NULL,
  area        {key} NOT NULL,
  seen_ms     BIGINT NOT NULL,
  last_ms     BIGINT NOT NULL,
  satellites  TEXT,
  instrument  TEXT NOT NULL,
  confidence  TEXT NOT NULL,
  percent     BIGINT NOT NULL,
  frp         DOUBLE PRECISION NOT NULL,
  pixels      BIGINT NOT NULL,
  members     TEXT,
  masked      TEXT NOT NULL,
  imported_ms BIGINT,
  judged_ms   BIGINT,
  alert_id    {key} NOT NULL,
  revision    BIGINT NOT NULL
);
CREATE INDEX hotspots_newest ON hotspots (seen_ms, id);
CREATE INDEX hotspots_unjudged ON hotspots (seen_ms, id) WHERE judged_ms IS NULL;
INSERT INTO counters (name, value) VALUES ('hotspots', 0);
