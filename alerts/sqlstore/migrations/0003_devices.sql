-- What the registry knows of a device beside its place. alias is what another
-- system calls it; no two devices share one. calibration is empty for unknown.
ALTER TABLE devices ADD COLUMN model TEXT NOT NULL DEFAULT '';
ALTER TABLE devices ADD COLUMN alias {key} NOT NULL DEFAULT '';
ALTER TABLE devices ADD COLUMN site TEXT NOT NULL DEFAULT '';
ALTER TABLE devices ADD COLUMN firmware TEXT NOT NULL DEFAULT '';
ALTER TABLE devices ADD COLUMN calibration TEXT NOT NULL DEFAULT '';
ALTER TABLE devices ADD COLUMN calibrated_ms BIGINT;
CREATE UNIQUE INDEX devices_alias ON devices (alias) WHERE alias <> '';
