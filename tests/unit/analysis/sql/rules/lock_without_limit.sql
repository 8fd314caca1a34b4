-- hit postgresql warning
SELECT balance FROM accounts WHERE id = $1 FOR UPDATE;
-- hit mysql warning
SELECT balance FROM accounts WHERE id = ? FOR UPDATE;
-- hit postgresql warning
SELECT id FROM orders WHERE status = 'new' ORDER BY id LIMIT 10 FOR NO KEY UPDATE;
-- clean postgresql
SELECT balance FROM accounts WHERE id = $1 FOR UPDATE NOWAIT;
-- clean mysql: a queue
SELECT id FROM orders WHERE status = 'new' ORDER BY id LIMIT 10 FOR UPDATE SKIP LOCKED;
-- clean postgresql has_lock_timeout=1: the session's waits are bounded
SELECT balance FROM accounts WHERE id = $1 FOR UPDATE;
-- clean postgresql: bounded in the same text
SET LOCAL lock_timeout = '250ms'; SELECT balance FROM accounts WHERE id = $1 FOR UPDATE;
-- clean mysql: WAIT bounds it
SELECT balance FROM accounts WHERE id = ? FOR UPDATE WAIT 1;
-- clean sqlite: no lock of rows
SELECT balance FROM accounts WHERE id = ?;
