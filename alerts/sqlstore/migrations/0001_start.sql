-- One text for both dialects. {key} is text that compares byte by byte, {bytes}
-- a blob, {serial} a primary key that counts up. Times are milliseconds since
-- 1970 UTC, NULL for "none". Every statement ends with a semicolon at the end
-- of its line. Once released, a file never changes: add the next one.
--
-- History (alerts, orders, deliveries, attempts, events, audits) has no foreign
-- key to the roster: what vanishes from the roster stays in the record.

-- Counters hand out numbers inside the transaction that uses them, so that a
-- higher number is never visible before a lower one.
CREATE TABLE counters (
  name  {key} PRIMARY KEY,
  value BIGINT NOT NULL
);
INSERT INTO counters (name, value) VALUES ('events', 0), ('warnings', 0);

CREATE TABLE roster (
  id         BIGINT PRIMARY KEY CHECK (id = 1),
  version    BIGINT NOT NULL,
  demo       BOOLEAN NOT NULL,
  changed_ms BIGINT
);
INSERT INTO roster (id, version, demo) VALUES (1, 0, FALSE);

-- An area that left the roster is kept with gone_ms set: alerts and orders of
-- its time are still found through the areas above it.
CREATE TABLE areas (
  code     {key} PRIMARY KEY,
  name     TEXT NOT NULL,
  level    TEXT NOT NULL,
  parent   {key} NOT NULL,
  lat      DOUBLE PRECISION NOT NULL,
  lon      DOUBLE PRECISION NOT NULL,
  outline  TEXT,
  surveyed BOOLEAN NOT NULL,
  gone_ms  BIGINT
);
CREATE INDEX areas_parent ON areas (parent);

CREATE TABLE teams (
  id          {key} PRIMARY KEY,
  name        TEXT NOT NULL,
  kind        TEXT NOT NULL,
  area        {key} NOT NULL,
  lat         DOUBLE PRECISION NOT NULL,
  lon         DOUBLE PRECISION NOT NULL,
  members     BIGINT NOT NULL,
  contact     TEXT NOT NULL,
  phone       TEXT NOT NULL,
  secret_hash TEXT NOT NULL
);

CREATE TABLE devices (
  id          {key} PRIMARY KEY,
  kind        TEXT NOT NULL,
  area        {key} NOT NULL,
  name        TEXT NOT NULL,
  phone       TEXT NOT NULL,
  lat         DOUBLE PRECISION NOT NULL,
  lon         DOUBLE PRECISION NOT NULL,
  expect_ms   BIGINT NOT NULL,
  secret_hash TEXT NOT NULL,
  disabled    BOOLEAN NOT NULL
);

CREATE TABLE users (
  username      {key} PRIMARY KEY,
  password_hash TEXT NOT NULL,
  role          TEXT NOT NULL,
  area          TEXT NOT NULL,
  team          TEXT NOT NULL,
  name          TEXT NOT NULL,
  disabled      BOOLEAN NOT NULL
);

CREATE TABLE sessions (
  token_hash {key} PRIMARY KEY,
  username   {key} NOT NULL REFERENCES users (username) ON DELETE CASCADE,
  created_ms BIGINT NOT NULL,
  expires_ms BIGINT NOT NULL
);
CREATE INDEX sessions_username ON sessions (username);
CREATE INDEX sessions_expires ON sessions (expires_ms);

CREATE TABLE judged (
  feed     {key} PRIMARY KEY,
  position BIGINT NOT NULL
);

CREATE TABLE rule_states (
  rule       {key} NOT NULL,
  subject    {key} NOT NULL,
  state      TEXT NOT NULL,
  since_ms   BIGINT,
  alert_id   TEXT NOT NULL,
  through_ms BIGINT,
  data       TEXT,
  PRIMARY KEY (rule, subject)
);

CREATE TABLE alerts (
  id           {key} PRIMARY KEY,
  rule         TEXT NOT NULL,
  rule_version TEXT NOT NULL,
  device       {key} NOT NULL,
  area         {key} NOT NULL,
  lat          DOUBLE PRECISION,
  lon          DOUBLE PRECISION,
  severity     BIGINT NOT NULL,
  state        {key} NOT NULL,
  summary      TEXT NOT NULL,
  summary_en   TEXT NOT NULL,
  reasons      TEXT,
  measured_ms  BIGINT,
  raised_ms    BIGINT NOT NULL,
  late_ms      BIGINT NOT NULL,
  resolved_ms  BIGINT,
  updated_ms   BIGINT,
  evidence     TEXT,
  acks         TEXT,
  order_id     TEXT NOT NULL,
  demo         BOOLEAN NOT NULL
);
CREATE INDEX alerts_newest ON alerts (raised_ms, id);
CREATE INDEX alerts_state ON alerts (state, raised_ms, id);
CREATE INDEX alerts_device ON alerts (device, raised_ms, id);

CREATE TABLE orders (
  id              {key} PRIMARY KEY,
  kind            TEXT NOT NULL,
  level           BIGINT NOT NULL,
  text            TEXT NOT NULL,
  drill           BOOLEAN NOT NULL,
  demo            BOOLEAN NOT NULL,
  alert           TEXT NOT NULL,
  issuer          {key} NOT NULL,
  area            {key} NOT NULL,
  lat             DOUBLE PRECISION,
  lon             DOUBLE PRECISION,
  issued_ms       BIGINT NOT NULL,
  answer_by_ms    BIGINT,
  status          {key} NOT NULL,
  completed_ms    BIGINT,
  idempotency_key {key},
  content_hash    TEXT NOT NULL,
  shortfalls      TEXT,
  UNIQUE (issuer, idempotency_key)
);
CREATE INDEX orders_newest ON orders (issued_ms, id);
CREATE INDEX orders_status ON orders (status, issued_ms, id);

-- area is the team's area when the order was given.
CREATE TABLE deliveries (
  order_id     {key} NOT NULL REFERENCES orders (id),
  team         {key} NOT NULL,
  area         {key} NOT NULL,
  reason       TEXT NOT NULL,
  state        {key} NOT NULL,
  sent_ms      BIGINT,
  delivered_ms BIGINT,
  read_ms      BIGINT,
  answered_ms  BIGINT,
  answer       TEXT NOT NULL,
  answer_note  TEXT NOT NULL,
  answered_by  TEXT NOT NULL,
  on_behalf    BOOLEAN NOT NULL,
  tries        BIGINT NOT NULL,
  escalation   BIGINT NOT NULL,
  next_ms      BIGINT,
  last_error   TEXT NOT NULL,
  updated_ms   BIGINT,
  PRIMARY KEY (order_id, team)
);
CREATE INDEX deliveries_team ON deliveries (team, order_id);
CREATE INDEX deliveries_due ON deliveries (next_ms) WHERE next_ms IS NOT NULL;

-- n counts the attempts of one order.
CREATE TABLE attempts (
  order_id {key} NOT NULL REFERENCES orders (id),
  n        BIGINT NOT NULL,
  team     {key} NOT NULL,
  channel  TEXT NOT NULL,
  at_ms    BIGINT,
  try      BIGINT NOT NULL,
  error    TEXT NOT NULL,
  note     TEXT NOT NULL,
  PRIMARY KEY (order_id, n)
);

CREATE TABLE warnings (
  id          {key} PRIMARY KEY,
  identifier  {key} NOT NULL,
  sender      {key} NOT NULL,
  sent_ms     BIGINT NOT NULL,
  status      TEXT NOT NULL,
  msg_type    TEXT NOT NULL,
  event       TEXT NOT NULL,
  event_code  TEXT NOT NULL,
  issuer      TEXT NOT NULL,
  headline    TEXT NOT NULL,
  text        TEXT NOT NULL,
  measures    TEXT NOT NULL,
  ended_ms    BIGINT,
  ended_by    TEXT NOT NULL,
  received_ms BIGINT,
  raw         {bytes},
  UNIQUE (sender, identifier, sent_ms)
);
CREATE INDEX warnings_newest ON warnings (sent_ms, id);

CREATE TABLE warning_blocks (
  warning_id {key} NOT NULL REFERENCES warnings (id),
  n          BIGINT NOT NULL,
  area       {key} NOT NULL,
  area_desc  TEXT NOT NULL,
  level      BIGINT NOT NULL,
  from_ms    BIGINT,
  to_ms      BIGINT,
  PRIMARY KEY (warning_id, n)
);
CREATE INDEX warning_blocks_to ON warning_blocks (to_ms);

-- The message that a reference names may come later, or never.
CREATE TABLE warning_refs (
  warning_id {key} NOT NULL REFERENCES warnings (id),
  n          BIGINT NOT NULL,
  sender     {key} NOT NULL,
  identifier {key} NOT NULL,
  sent_ms    BIGINT NOT NULL,
  PRIMARY KEY (warning_id, n)
);
CREATE INDEX warning_refs_target ON warning_refs (sender, identifier, sent_ms);

CREATE TABLE season_tables (
  n            {serial},
  version      {key} NOT NULL UNIQUE,
  effective_ms BIGINT,
  seasons      TEXT NOT NULL,
  saved_ms     BIGINT
);

CREATE TABLE events (
  id    BIGINT PRIMARY KEY,
  at_ms BIGINT,
  type  TEXT NOT NULL,
  area  TEXT NOT NULL,
  team  TEXT NOT NULL,
  data  TEXT
);

CREATE TABLE audits (
  n       {serial},
  at_ms   BIGINT,
  actor   TEXT NOT NULL,
  action  TEXT NOT NULL,
  subject TEXT NOT NULL,
  detail  TEXT NOT NULL
);

CREATE TABLE leases (
  name       {key} PRIMARY KEY,
  holder     TEXT NOT NULL,
  expires_ms BIGINT NOT NULL
);
