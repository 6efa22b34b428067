-- Fire danger by local day (YYYY-MM-DD): what each station measured and was
-- rated, with the codes that the next day goes on from, and each area's level
-- with the stations it was taken from. dry_days -1: unknown.
CREATE TABLE danger_stations (
  station     {key} NOT NULL,
  method      {key} NOT NULL,
  day         {key} NOT NULL,
  version     TEXT NOT NULL,
  inputs      TEXT,
  result      TEXT,
  level       BIGINT NOT NULL,
  chain       TEXT NOT NULL,
  note        TEXT NOT NULL,
  provisional BOOLEAN NOT NULL,
  at_ms       BIGINT,
  PRIMARY KEY (station, method, day)
);
CREATE INDEX danger_stations_day ON danger_stations (day);
CREATE TABLE danger_areas (
  area        {key} NOT NULL,
  method      {key} NOT NULL,
  day         {key} NOT NULL,
  version     TEXT NOT NULL,
  level       BIGINT NOT NULL,
  degraded    BOOLEAN NOT NULL,
  held_from   TEXT NOT NULL,
  dry_days    BIGINT NOT NULL,
  value       DOUBLE PRECISION NOT NULL,
  stations    TEXT,
  note        TEXT NOT NULL,
  provisional BOOLEAN NOT NULL,
  at_ms       BIGINT,
  PRIMARY KEY (area, method, day)
);
CREATE INDEX danger_areas_day ON danger_areas (day);
