-- hit postgresql critical
UPDATE positions SET quantity = 0;
-- hit mysql critical
DELETE FROM orders;
-- hit sqlite critical: a subquery's WHERE restricts nothing
UPDATE orders SET limit_price = (SELECT max(price) FROM fills WHERE fills.order_id = orders.id);
-- hit postgresql critical: RETURNING restricts nothing
DELETE FROM ticks RETURNING id;
-- clean postgresql
UPDATE positions SET quantity = $1 WHERE account_id = $2;
-- clean mysql: the join restricts
UPDATE orders JOIN fills ON fills.order_id = orders.id SET orders.status = 'filled';
-- clean sqlite
DELETE FROM orders WHERE status = ?;
-- clean postgresql: another statement with the word
INSERT INTO audit (verb) VALUES ('DELETE FROM orders');
