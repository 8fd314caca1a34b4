-- schema postgresql
CREATE TABLE orders (order_id bigint PRIMARY KEY, symbol text);
CREATE TABLE fills (fill_id bigint PRIMARY KEY, filled_order bigint);
-- hit postgresql error
SELECT o.id, f.price FROM orders AS o, fills AS f WHERE o.symbol > 'A';
-- hit mysql error
SELECT a.id FROM accounts AS a JOIN orders AS o JOIN fills AS f ON f.order_id = o.id;
-- hit sqlite error
SELECT o.id FROM orders AS o JOIN fills AS f ON o.status = o.old_status;
-- hit postgresql error
UPDATE positions SET quantity = f.quantity FROM fills AS f WHERE positions.quantity > 0;
-- hit postgresql error: the schema tells whose columns they are
SELECT order_id FROM orders, fills WHERE order_id > 5 AND fill_id > 5;
-- clean postgresql
SELECT o.id, f.price FROM orders AS o, fills AS f WHERE f.order_id = o.id AND o.symbol = 'A';
-- clean mysql: meant so
SELECT s.symbol, v.name FROM symbols AS s CROSS JOIN venues AS v;
-- clean sqlite: one row
SELECT o.id, t.total FROM orders AS o, (SELECT sum(quantity) AS total FROM fills) AS t;
-- clean postgresql: a function of the row
SELECT o.id, tag FROM orders AS o, unnest(o.tags) AS tag;
-- clean mysql: one row on either side
SELECT a.balance, l.amount FROM accounts AS a, limits AS l WHERE a.id = ? AND l.symbol = ?;
-- clean sqlite: nobody knows whose columns they are
SELECT price FROM orders, fills WHERE order_id = id;
-- clean postgresql: the schema tells whose they are
SELECT symbol FROM orders, fills WHERE order_id = filled_order;
-- clean mysql
SELECT o.id FROM orders AS o NATURAL JOIN fills AS f;
-- clean postgresql: through a subquery
SELECT o.id FROM orders AS o, fills AS f WHERE EXISTS (SELECT 1 FROM links AS l WHERE l.a = o.id AND l.b = f.id);
