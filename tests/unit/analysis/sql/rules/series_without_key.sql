-- schema postgresql
CREATE TABLE ticks (id bigint PRIMARY KEY, symbol text NOT NULL, ts timestamptz NOT NULL, price numeric(18,8));
CREATE INDEX ticks_symbol_ts ON ticks (symbol, ts DESC);
CREATE TABLE bars (symbol text, ts timestamptz, close numeric(18,8), PRIMARY KEY (symbol, ts));
CREATE INDEX bars_ts ON bars USING brin (ts);
-- rows ticks 80000000
-- rows bars 3000000
-- schema mysql
CREATE TABLE quotes (symbol varchar(20), quoted_at datetime(6), bid decimal(18,8), PRIMARY KEY (symbol, quoted_at));
-- rows quotes 40000000
-- schema sqlite
CREATE TABLE ticks (symbol TEXT, ts INTEGER, price TEXT, PRIMARY KEY (symbol, ts));
-- rows ticks 900
-- hit postgresql warning: every symbol
SELECT symbol, price FROM ticks WHERE ts >= $1 AND ts < $2;
-- hit postgresql warning: all times
SELECT ts, price FROM ticks WHERE symbol = $1 ORDER BY ts;
-- hit mysql warning
SELECT avg(bid) FROM quotes WHERE symbol = ?;
-- hit mysql warning
DELETE FROM quotes WHERE quoted_at < ?;
-- clean postgresql: both
SELECT ts, price FROM ticks WHERE symbol = $1 AND ts >= $2 AND ts < $3;
-- clean postgresql: the latest one
SELECT ts, price FROM ticks WHERE symbol = $1 ORDER BY ts DESC LIMIT 1;
-- clean postgresql: an index begins with the time
SELECT symbol, close FROM bars WHERE ts >= $1 AND ts < $2;
-- clean postgresql: by its own key
SELECT price FROM ticks WHERE id = $1;
-- clean mysql: one row
SELECT bid FROM quotes WHERE symbol = ? AND quoted_at = ?;
-- clean sqlite: a small table
SELECT price FROM ticks WHERE symbol = ?;
