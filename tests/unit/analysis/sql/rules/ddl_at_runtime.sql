-- hit postgresql error
ALTER TABLE orders ADD COLUMN venue text;
-- hit mysql error
CREATE INDEX orders_symbol ON orders (symbol);
-- hit sqlite error
ALTER TABLE orders ADD venue TEXT;
-- hit postgresql error is_migration=1: the index blocks all writers
CREATE INDEX orders_symbol ON orders (symbol);
-- hit postgresql error is_migration=1: every row is checked under the lock
ALTER TABLE fills ADD CONSTRAINT fills_order FOREIGN KEY (order_id) REFERENCES orders (id);
-- hit postgresql error
TRUNCATE TABLE ticks;
-- clean postgresql is_migration=1
CREATE INDEX CONCURRENTLY orders_symbol ON orders (symbol);
-- clean postgresql is_migration=1
SET lock_timeout = '2s'; ALTER TABLE fills ADD CONSTRAINT fills_order FOREIGN KEY (order_id) REFERENCES orders (id) NOT VALID;
-- clean sqlite: a new table
CREATE TABLE orders (id INTEGER PRIMARY KEY, symbol TEXT);
-- clean mysql: an index on a table that is new, too
CREATE TABLE orders (id int PRIMARY KEY, symbol varchar(20)); CREATE INDEX orders_symbol ON orders (symbol);
-- clean postgresql: temporary
CREATE TEMPORARY TABLE wanted (id bigint);
-- clean mysql: no definition
SELECT id FROM orders WHERE status = 'alter';
