-- schema postgresql
CREATE TABLE orders (id bigint PRIMARY KEY, parent_id bigint, symbol text NOT NULL);
-- hit postgresql warning
SELECT id FROM orders WHERE id NOT IN (SELECT parent_id FROM orders);
-- hit mysql warning: NULL in the list itself
SELECT id FROM orders WHERE status NOT IN ('open', NULL);
-- hit sqlite warning
DELETE FROM orders WHERE id NOT IN (SELECT order_id FROM fills);
-- hit postgresql warning
SELECT id FROM orders WHERE id <> ALL (SELECT parent_id FROM orders);
-- clean postgresql: declared NOT NULL
SELECT id FROM halted WHERE symbol NOT IN (SELECT symbol FROM orders);
-- clean postgresql: NULL is left out
SELECT id FROM orders WHERE id NOT IN (SELECT parent_id FROM orders WHERE parent_id IS NOT NULL);
-- clean mysql: an anti-join
SELECT id FROM orders AS o WHERE NOT EXISTS (SELECT 1 FROM fills AS f WHERE f.order_id = o.id);
-- clean sqlite: IN has no such trap
SELECT id FROM orders WHERE id IN (SELECT order_id FROM fills);
-- clean mysql: a list of values
SELECT id FROM orders WHERE status NOT IN ('done', 'rejected');
-- clean sqlite: by its name a key
SELECT id FROM orders WHERE account_id NOT IN (SELECT id FROM accounts);
