-- Which order goes with a posture, by its issuer and idempotency key: what is
-- here and not among the orders is owed.
ALTER TABLE readiness ADD COLUMN order_issuer TEXT NOT NULL DEFAULT '';
ALTER TABLE readiness ADD COLUMN order_key TEXT NOT NULL DEFAULT '';
ALTER TABLE readiness_history ADD COLUMN order_issuer TEXT NOT NULL DEFAULT '';
ALTER TABLE readiness_history ADD COLUMN order_key TEXT NOT NULL DEFAULT '';
