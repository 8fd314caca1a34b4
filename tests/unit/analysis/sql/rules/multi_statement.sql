-- hit postgresql warning
UPDATE orders SET status = 'open' WHERE id = 1; INSERT INTO audit (order_id) VALUES (1);
-- hit mysql warning
SET @limit = 10; SELECT id FROM orders LIMIT 10;
-- hit sqlite warning
DELETE FROM ticks WHERE ts < 5; VACUUM;
-- clean postgresql: one statement and its semicolon
SELECT id FROM orders WHERE symbol = 'AAPL';
-- clean mysql: the semicolon is data
SELECT id FROM orders WHERE note = 'a; DROP TABLE orders';
-- clean sqlite: and here it is in a comment
SELECT id /* ; */ FROM orders WHERE id = ?;
