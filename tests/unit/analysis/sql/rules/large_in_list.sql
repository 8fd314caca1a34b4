-- hit postgresql warning
SELECT id, status FROM orders WHERE id IN ({101 ?});
-- hit mysql error: more than 1,000
SELECT id, status FROM orders WHERE id IN ({1001 7});
-- hit sqlite warning
DELETE FROM ticks WHERE id IN ({250 ?});
-- clean postgresql: as one array
SELECT id, status FROM orders WHERE id = ANY($1);
-- clean mysql
SELECT id, status FROM orders WHERE id IN ({100 ?});
-- clean sqlite: many rows are no list
INSERT INTO ticks (id) VALUES {101 (?)};
