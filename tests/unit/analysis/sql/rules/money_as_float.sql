-- schema postgresql
CREATE TABLE legacy_fills (id bigint PRIMARY KEY, price double precision, quantity numeric);
-- hit postgresql warning
CREATE TABLE fills (id bigint PRIMARY KEY, price double precision, quantity numeric(18, 8));
-- hit mysql warning
CREATE TABLE orders (id int PRIMARY KEY, limit_price FLOAT);
-- hit postgresql warning: exact until it is read
SELECT sum(quantity::float8) FROM fills WHERE symbol = $1;
-- hit postgresql warning: the schema knows
INSERT INTO legacy_fills (id, price) VALUES ($1, $2);
-- hit postgresql warning: floats are rarely equal
SELECT id FROM legacy_fills WHERE price = $1;
-- hit sqlite info: SQLite has no exact type
CREATE TABLE fills (id INTEGER PRIMARY KEY, price FLOAT);
-- clean postgresql
CREATE TABLE fills (id bigint PRIMARY KEY, price numeric(18, 8), quantity numeric(18, 8));
-- clean mysql: no money
CREATE TABLE samples (id int PRIMARY KEY, latency DOUBLE, fee_rate DOUBLE);
-- clean postgresql: a statistic is a float
SELECT stddev(price::float8) FROM fills WHERE symbol = $1;
-- clean sqlite: decimal text
CREATE TABLE fills (id INTEGER PRIMARY KEY, price TEXT);
-- clean postgresql: an exact column
INSERT INTO legacy_fills (id, quantity) VALUES ($1, $2);
