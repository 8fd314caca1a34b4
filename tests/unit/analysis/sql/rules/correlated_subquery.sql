-- schema postgresql
CREATE TABLE orders (id bigint PRIMARY KEY, symbol text, quantity numeric);
CREATE TABLE fills (id bigint PRIMARY KEY, order_id bigint, quantity numeric);
-- hit postgresql warning
SELECT o.id, (SELECT sum(f.quantity) FROM fills AS f WHERE f.order_id = o.id) FROM orders AS o WHERE o.symbol = $1;
-- hit mysql warning
SELECT o.id FROM orders AS o WHERE o.quantity > (SELECT avg(p.quantity) FROM positions AS p WHERE p.symbol = o.symbol);
-- hit sqlite warning
UPDATE orders SET filled = (SELECT sum(quantity) FROM fills WHERE fills.order_id = orders.id) WHERE status = 'open';
-- hit postgresql warning: the schema tells that symbol is the order's
SELECT id FROM orders WHERE quantity > (SELECT sum(f.quantity) FROM fills AS f WHERE order_id = id AND symbol = 'A');
-- clean postgresql: EXISTS stops at the first
SELECT o.id FROM orders AS o WHERE EXISTS (SELECT 1 FROM fills AS f WHERE f.order_id = o.id);
-- clean postgresql: one row, by its key
SELECT o.id, (SELECT sum(f.quantity) FROM fills AS f WHERE f.order_id = o.id) FROM orders AS o WHERE o.id = $1;
-- clean mysql: the same for all rows
SELECT id FROM orders WHERE quantity > (SELECT avg(quantity) FROM positions);
-- clean sqlite: one look-up in an index
SELECT s.symbol, (SELECT t.price FROM ticks AS t WHERE t.symbol = s.symbol ORDER BY t.ts DESC LIMIT 1) FROM symbols AS s;
-- clean mysql: only for the rows of a page
SELECT o.id, (SELECT count(*) FROM fills AS f WHERE f.order_id = o.id) FROM orders AS o ORDER BY o.id LIMIT 20;
-- clean postgresql: meant so
SELECT o.id, f.price FROM orders AS o JOIN LATERAL (SELECT price FROM fills WHERE order_id = o.id LIMIT 1) AS f ON true;
