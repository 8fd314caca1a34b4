-- schema postgresql
CREATE TABLE tickets (ticket bigint PRIMARY KEY, price numeric);
-- hit postgresql error
INSERT INTO orders (id, symbol) SELECT max(id) + 1, $1 FROM orders;
-- hit mysql error
SELECT COALESCE(MAX(order_id), 0) + 1 FROM orders;
-- hit sqlite error
SELECT max(seq) + ? FROM journal WHERE account_id = ?;
-- hit postgresql error: the schema knows the key
SELECT 1 + max(ticket) FROM tickets;
-- clean postgresql: only the largest
SELECT max(id) FROM orders;
-- clean mysql: no key
SELECT max(price) + 1 FROM fills WHERE symbol = ?;
-- clean sqlite: of each group
SELECT account_id, max(seq) + 1 FROM journal GROUP BY account_id;
-- clean postgresql: the database numbers
INSERT INTO orders (symbol) VALUES ($1) RETURNING id;
-- clean postgresql: time goes on
SELECT max(ts) + interval '1 day' FROM ticks WHERE symbol = $1;
