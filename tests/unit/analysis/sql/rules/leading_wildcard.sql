-- hit postgresql warning
SELECT id FROM orders WHERE note LIKE '%cancelled';
-- hit mysql warning
SELECT id FROM orders WHERE client_id LIKE "%-7" AND account_id = 5;
-- hit sqlite warning
SELECT id FROM orders WHERE symbol LIKE '%' || ? || '%';
-- hit postgresql warning
SELECT id FROM orders WHERE note ILIKE '%partial%';
-- clean postgresql: from the beginning of the value
SELECT id FROM orders WHERE symbol LIKE 'AAP%';
-- clean mysql: equality
SELECT id FROM orders WHERE note = '%cancelled';
-- clean sqlite: a parameter's value is not known
SELECT id FROM orders WHERE symbol LIKE ?;
-- clean postgresql: the percent sign is an operator
SELECT id FROM orders WHERE id % 10 = 0;
