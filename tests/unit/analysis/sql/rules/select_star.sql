-- schema postgresql
CREATE TABLE orders (id bigint PRIMARY KEY, symbol text, status text);
CREATE TABLE snapshots (id bigint PRIMARY KEY, book jsonb NOT NULL);
CREATE TABLE bars (c1 int, c2 int, c3 int, c4 int, c5 int, c6 int, c7 int, c8 int, c9 int, c10 int, c11 int,
    c12 int, c13 int, c14 int, c15 int, c16 int, c17 int, c18 int, c19 int, c20 int, c21 int);
-- schema mysql
CREATE TABLE reports (id int PRIMARY KEY, body longblob);
-- hit postgresql info
SELECT * FROM orders WHERE symbol = $1;
-- hit postgresql warning: a wide column
SELECT * FROM snapshots WHERE id = $1;
-- hit postgresql warning: more than 20 columns
SELECT b.* FROM bars AS b JOIN orders AS o ON o.id = b.c1;
-- hit mysql warning
SELECT * FROM reports LIMIT 10;
-- hit sqlite info
INSERT INTO archive SELECT * FROM orders WHERE status = 'done';
-- clean postgresql: counted, not read
SELECT count(*) FROM orders WHERE symbol = $1;
-- clean mysql: EXISTS reads no columns
SELECT id FROM accounts WHERE EXISTS (SELECT * FROM orders WHERE orders.account_id = accounts.id);
-- clean sqlite: the columns are named inside
SELECT * FROM (SELECT id, symbol FROM orders) AS o;
-- clean postgresql: and here in a common table expression
WITH recent AS (SELECT id, symbol FROM orders LIMIT 10) SELECT * FROM recent;
-- clean postgresql: multiplication
SELECT price * quantity FROM fills WHERE id = $1;
