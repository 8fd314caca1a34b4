-- schema postgresql
CREATE TABLE trades (id bigint PRIMARY KEY, symbol text, account_id bigint, price numeric(18,8), ts timestamptz);
CREATE TABLE symbols (symbol text PRIMARY KEY, name text);
-- rows trades 5000000
-- rows symbols 400
-- distinct trades.symbol 50
-- distinct trades.account_id 1000000
-- schema mysql
CREATE TABLE orders (id int PRIMARY KEY, status varchar(10), symbol varchar(20));
-- rows orders 900000
-- distinct orders.status 3
-- schema sqlite
CREATE TABLE ticks (id INTEGER PRIMARY KEY, symbol TEXT, price TEXT);
-- rows ticks 2000000
-- hit postgresql warning
SELECT id, price FROM trades WHERE symbol = $1;
-- hit postgresql warning: the small table bounds nothing
SELECT t.id, s.name FROM trades AS t JOIN symbols AS s ON s.symbol = t.symbol;
-- hit mysql warning
SELECT id, symbol FROM orders WHERE status = 'open';
-- hit sqlite warning: one bound leaves a third
SELECT id, symbol FROM ticks WHERE id > ?;
-- clean postgresql: limited
SELECT id, price FROM trades WHERE symbol = $1 ORDER BY ts DESC LIMIT 100;
-- clean postgresql: an aggregate
SELECT max(price) FROM trades WHERE symbol = $1;
-- clean postgresql: a selective column
SELECT id, price FROM trades WHERE account_id = $1;
-- clean postgresql: a bounded time range
SELECT id, price FROM trades WHERE symbol = $1 AND ts >= $2 AND ts < $3;
-- clean mysql: a unique key
SELECT id, symbol FROM orders WHERE id = ?;
-- clean postgresql: bounded by the other table
SELECT t.id FROM trades AS t JOIN symbols AS s ON s.symbol = t.symbol WHERE s.symbol = $1 AND t.id = $2;
-- clean postgresql: a subquery leaves nobody knows how many
SELECT id FROM trades WHERE symbol = (SELECT symbol FROM symbols WHERE name = $1);
-- clean sqlite: nothing is known of the table
SELECT id FROM orders;
-- clean postgresql: fetched in pages
SELECT id FROM trades ORDER BY id FETCH FIRST 100 ROWS ONLY;
