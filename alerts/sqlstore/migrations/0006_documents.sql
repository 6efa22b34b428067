-- Versions of what people write and rules rest on: rule sets, readiness tables,
-- lists of ignition sources. A version never changes but for being approved.
CREATE TABLE documents (
  n            {serial},
  kind         {key} NOT NULL,
  version      {key} NOT NULL,
  effective_ms BIGINT NOT NULL,
  body         {bytes} NOT NULL,
  author       TEXT NOT NULL,
  saved_ms     BIGINT NOT NULL,
  approver     TEXT NOT NULL,
  approved_ms  BIGINT,
  UNIQUE (kind, version)
);
CREATE INDEX documents_ruling ON documents (kind, effective_ms, n);
