-- hit postgresql warning raw_texts=3
SELECT id FROM orders WHERE symbol = 'AAPL';
-- hit mysql warning raw_texts=12
UPDATE orders SET status = 'filled' WHERE id = 4711;
-- hit sqlite warning raw_texts=900
INSERT INTO ticks (symbol, price) VALUES ('MSFT', 412.5);
-- clean postgresql raw_texts=900: parameters; comments or blanks differ
SELECT id FROM orders WHERE symbol = $1;
-- clean mysql raw_texts=1: always the same text
SELECT id FROM orders WHERE status = 'open';
-- clean sqlite raw_texts=2
SELECT id FROM orders WHERE status = 'open';
