-- hit postgresql error blocks_event_loop=1
SELECT id FROM orders WHERE symbol = $1;
-- hit mysql error blocks_event_loop=1
UPDATE orders SET status = ? WHERE id = ?;
-- hit sqlite error blocks_event_loop=1
COMMIT;
-- clean postgresql: no loop was running, or the driver is asynchronous
SELECT id FROM orders WHERE symbol = $1;
-- clean mysql
UPDATE orders SET status = ? WHERE id = ?;
-- clean sqlite
COMMIT;
