-- schema postgresql
CREATE TABLE venues (name text);
-- rows venues 12
-- hit postgresql warning
SELECT id FROM orders ORDER BY random() LIMIT 1;
-- hit mysql warning
SELECT id FROM orders WHERE status = 'open' ORDER BY RAND() LIMIT 5;
-- hit sqlite warning
SELECT symbol FROM ticks ORDER BY RANDOM() LIMIT ?;
-- clean postgresql: a sample
SELECT id FROM orders TABLESAMPLE SYSTEM (1) LIMIT 1;
-- clean mysql: drawn, not sorted by
SELECT id, RAND() FROM orders ORDER BY id LIMIT 5;
-- clean postgresql: the table is small
SELECT name FROM venues ORDER BY random() LIMIT 1;
-- clean sqlite: a condition
SELECT symbol FROM ticks WHERE id > abs(random() % 1000) ORDER BY id LIMIT 1;
