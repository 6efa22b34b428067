-- What alerts are about, what keeps them from people, and why they stand. hush
-- and explain are JSON, NULL for none; hushed is empty or the kind of the hush.
ALTER TABLE alerts ADD COLUMN incident {key} NOT NULL DEFAULT '';
ALTER TABLE alerts ADD COLUMN hushed {key} NOT NULL DEFAULT '';
ALTER TABLE alerts ADD COLUMN hush TEXT;
ALTER TABLE alerts ADD COLUMN explain_doc TEXT;
CREATE INDEX alerts_incident ON alerts (incident, raised_ms, id) WHERE incident <> '';
-- confirmed_ms, refuted_ms and said_by are people's; order_id and order_level are
-- set with the order that they name.
CREATE TABLE incidents (
  id           {key} PRIMARY KEY,
  area         {key} NOT NULL,
  device       {key} NOT NULL,
  lat          DOUBLE PRECISION,
  lon          DOUBLE PRECISION,
  title        TEXT NOT NULL,
  severity     BIGINT NOT NULL,
  began_ms     BIGINT,
  opened_ms    BIGINT NOT NULL,
  updated_ms   BIGINT,
  quiet_ms     BIGINT,
  closed_ms    BIGINT,
  alerts       BIGINT NOT NULL,
  confirmed_ms BIGINT,
  refuted_ms   BIGINT,
  said_by      TEXT NOT NULL,
  order_id     TEXT NOT NULL,
  order_level  BIGINT NOT NULL,
  demo         BOOLEAN NOT NULL
);
CREATE INDEX incidents_newest ON incidents (opened_ms, id);
CREATE INDEX incidents_open ON incidents (opened_ms, id) WHERE closed_ms IS NULL;
-- A silence is over at over_ms: until_ms, or ended_ms when it was lifted.
CREATE TABLE silences (
  id        {key} PRIMARY KEY,
  rule      {key} NOT NULL,
  device    {key} NOT NULL,
  area      {key} NOT NULL,
  from_ms   BIGINT NOT NULL,
  until_ms  BIGINT NOT NULL,
  author    TEXT NOT NULL,
  reason    TEXT NOT NULL,
  made_ms   BIGINT NOT NULL,
  ended_ms  BIGINT,
  lifted_by TEXT NOT NULL,
  over_ms   BIGINT NOT NULL
);
CREATE INDEX silences_over ON silences (over_ms);
-- What rules held back without an alert; only the newest are kept.
CREATE TABLE holdbacks (
  rule         {key} NOT NULL,
  device       {key} NOT NULL,
  why          {key} NOT NULL,
  rule_version TEXT NOT NULL,
  area         {key} NOT NULL,
  first_ms     BIGINT NOT NULL,
  last_ms      BIGINT NOT NULL,
  n            BIGINT NOT NULL,
  PRIMARY KEY (rule, device, why)
);
CREATE INDEX holdbacks_last ON holdbacks (last_ms);
