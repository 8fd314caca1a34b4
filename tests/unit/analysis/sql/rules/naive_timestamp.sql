-- schema postgresql
CREATE TABLE trades (id bigint PRIMARY KEY, ts timestamptz, local_ts timestamp, trade_date date);
-- hit postgresql warning: what SQLAlchemy sends for a datetime without tzinfo
SELECT id FROM trades WHERE ts >= $1::TIMESTAMP WITHOUT TIME ZONE;
-- hit postgresql warning
SELECT id FROM trades WHERE ts BETWEEN '2026-01-05 09:30:00' AND '2026-01-05 16:00:00';
-- hit postgresql warning
SELECT id FROM trades WHERE ts > LOCALTIMESTAMP - INTERVAL '5 minutes';
-- hit postgresql warning: the other way round
SELECT id FROM trades WHERE local_ts < now();
-- clean postgresql
SELECT id FROM trades WHERE ts >= $1::TIMESTAMP WITH TIME ZONE;
-- clean postgresql: the literal has its zone
SELECT id FROM trades WHERE ts >= '2026-01-05 09:30:00-05:00';
-- clean postgresql
SELECT id FROM trades WHERE ts > now() - INTERVAL '5 minutes';
-- clean postgresql: a day
SELECT id FROM trades WHERE trade_date = '2026-01-05';
-- clean mysql: one kind of time
SELECT id FROM trades WHERE ts >= '2026-01-05 09:30:00';
-- clean sqlite: times are text
SELECT id FROM trades WHERE ts >= '2026-01-05 09:30:00';
