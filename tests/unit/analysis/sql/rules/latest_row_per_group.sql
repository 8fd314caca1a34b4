-- schema postgresql
CREATE TABLE ticks (symbol text, ts timestamptz, price numeric(18,8));
CREATE TABLE limits (symbol text, ts timestamptz, amount numeric(18,8));
-- rows ticks 80000000
-- rows limits 600
-- hit postgresql warning
SELECT DISTINCT ON (symbol) symbol, price FROM ticks ORDER BY symbol, ts DESC;
-- hit mysql warning
SELECT t.symbol, t.price FROM ticks AS t
JOIN (SELECT symbol, max(ts) AS newest FROM ticks GROUP BY symbol) AS m ON m.symbol = t.symbol AND m.newest = t.ts;
-- hit sqlite warning
SELECT symbol, price FROM (
    SELECT symbol, price, row_number() OVER (PARTITION BY symbol ORDER BY ts DESC) AS rank FROM ticks
) AS ranked WHERE rank = 1;
-- hit postgresql warning
SELECT symbol, price FROM ticks AS t WHERE ts = (SELECT max(ts) FROM ticks AS o WHERE o.symbol = t.symbol);
-- hit mysql warning
SELECT symbol, price FROM ticks WHERE (symbol, ts) IN (SELECT symbol, max(ts) FROM ticks GROUP BY symbol);
-- hit postgresql warning
WITH ranked AS (SELECT symbol, price, row_number() OVER (PARTITION BY symbol ORDER BY ts DESC) AS n FROM ticks)
SELECT symbol, price FROM ranked WHERE n <= 1;
-- clean postgresql: one look-up for each symbol
SELECT s.symbol, t.price FROM symbols AS s
JOIN LATERAL (SELECT price FROM ticks WHERE symbol = s.symbol ORDER BY ts DESC LIMIT 1) AS t ON true;
-- clean postgresql: of one symbol
SELECT DISTINCT ON (symbol) symbol, price FROM ticks WHERE symbol = $1 ORDER BY symbol, ts DESC;
-- clean mysql: of the last minutes
SELECT t.symbol, t.price FROM ticks AS t
JOIN (SELECT symbol, max(ts) AS newest FROM ticks WHERE ts > ? GROUP BY symbol) AS m
ON m.symbol = t.symbol AND m.newest = t.ts;
-- clean sqlite: a running number
SELECT symbol, row_number() OVER (PARTITION BY symbol ORDER BY ts) AS n FROM ticks;
-- clean postgresql: the table is small
SELECT DISTINCT ON (symbol) symbol, amount FROM limits ORDER BY symbol, ts DESC;
-- clean mysql: no more than the time is wanted
SELECT symbol, max(ts) FROM ticks GROUP BY symbol;
