-- Commands to trackers. area is the device's when the command was given.
-- next_ms is when something is due, and never NULL of an open one. ended_by is a
-- person, or the id of the command that superseded this one.
CREATE TABLE commands (
  id              {key} PRIMARY KEY,
  device          {key} NOT NULL,
  area            {key} NOT NULL,
  kind            TEXT NOT NULL,
  text            TEXT NOT NULL,
  drill           BOOLEAN NOT NULL,
  issuer          {key} NOT NULL,
  idempotency_key {key},
  issued_ms       BIGINT NOT NULL,
  expires_ms      BIGINT NOT NULL,
  state           {key} NOT NULL,
  sent_ms         BIGINT,
  delivered_ms    BIGINT,
  read_ms         BIGINT,
  ended_ms        BIGINT,
  answer          TEXT NOT NULL,
  reason          TEXT NOT NULL,
  ended_by        TEXT NOT NULL,
  next_ms         BIGINT,
  UNIQUE (issuer, idempotency_key),
  CHECK (next_ms IS NOT NULL OR state NOT IN ('queued', 'sent', 'delivered', 'read'))
);
CREATE INDEX commands_due ON commands (next_ms) WHERE next_ms IS NOT NULL;
CREATE INDEX commands_live ON commands (device, issued_ms, id) WHERE next_ms IS NOT NULL;
CREATE INDEX commands_device ON commands (device, issued_ms, id);
CREATE INDEX commands_newest ON commands (issued_ms, id);
CREATE INDEX commands_expires ON commands (expires_ms);
INSERT INTO counters (name, value) VALUES ('commands', 0);
