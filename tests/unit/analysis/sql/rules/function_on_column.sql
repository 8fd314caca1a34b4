-- schema postgresql
CREATE TABLE trades (id bigint PRIMARY KEY, symbol varchar(20), venue text, price numeric(18,8), ts timestamptz);
CREATE INDEX trades_lower ON trades (lower(venue));
CREATE TABLE venues (name text);
-- rows trades 5000000
-- rows venues 12
-- hit postgresql warning
SELECT id FROM trades WHERE lower(symbol) = $1;
-- hit postgresql warning: a cast
SELECT id FROM trades WHERE ts::date = $1;
-- hit mysql warning
SELECT id FROM orders WHERE DATE(created_at) = '2026-01-05';
-- hit sqlite warning
SELECT id FROM ticks WHERE strftime('%Y', ts) = ?;
-- hit postgresql warning: arithmetic
SELECT id FROM trades WHERE price * 100 > $1;
-- hit mysql warning
SELECT id FROM orders WHERE created_at + INTERVAL 1 DAY > NOW();
-- hit sqlite warning: with a list
SELECT id FROM ticks WHERE upper(symbol) IN (?, ?);
-- clean postgresql: the function is on the constant
SELECT id FROM trades WHERE symbol = lower($1);
-- clean postgresql: an index on the expression
SELECT id FROM trades WHERE lower(venue) = $1;
-- clean postgresql: varchar and text are stored alike
SELECT id FROM trades WHERE symbol::text = $1;
-- clean postgresql: the table is small
SELECT name FROM venues WHERE lower(name) = $1;
-- clean mysql: a range on the bare column
SELECT id FROM orders WHERE created_at >= '2026-01-05' AND created_at < '2026-01-05' + INTERVAL 1 DAY;
-- clean sqlite: not a condition
SELECT upper(symbol) FROM ticks WHERE id = ?;
-- clean postgresql: of groups
SELECT symbol FROM trades GROUP BY symbol HAVING sum(price) > $1;
-- clean mysql: two columns, no constant
SELECT o.id FROM orders AS o JOIN fills AS f ON lower(f.symbol) = lower(o.symbol);
