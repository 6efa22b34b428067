-- Where each township, and the professional teams, stand. revision counts the
-- saves of a row; readiness_history has each of them.
CREATE TABLE readiness (
  area           {key} PRIMARY KEY,
  revision       BIGINT NOT NULL,
  updated_ms     BIGINT NOT NULL,
  posture        BIGINT NOT NULL,
  since_ms       BIGINT,
  set_by         TEXT NOT NULL,
  word           TEXT NOT NULL,
  proposed       BIGINT NOT NULL,
  proposed_ms    BIGINT,
  reasons        TEXT,
  inputs         TEXT NOT NULL,
  table_version  TEXT NOT NULL,
  open           BOOLEAN NOT NULL,
  easing         BIGINT NOT NULL,
  easing_ms      BIGINT
);
CREATE TABLE readiness_history (
  area           {key} NOT NULL,
  revision       BIGINT NOT NULL,
  updated_ms     BIGINT NOT NULL,
  posture        BIGINT NOT NULL,
  since_ms       BIGINT,
  set_by         TEXT NOT NULL,
  word           TEXT NOT NULL,
  proposed       BIGINT NOT NULL,
  proposed_ms    BIGINT,
  reasons        TEXT,
  inputs         TEXT NOT NULL,
  table_version  TEXT NOT NULL,
  open           BOOLEAN NOT NULL,
  easing         BIGINT NOT NULL,
  easing_ms      BIGINT,
  PRIMARY KEY (area, revision)
);
