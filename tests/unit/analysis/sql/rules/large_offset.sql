-- hit postgresql warning
SELECT id, price FROM fills ORDER BY id LIMIT 100 OFFSET 5000;
-- hit mysql warning
SELECT id, price FROM fills ORDER BY id LIMIT 100 OFFSET 1000;
-- hit sqlite warning
SELECT id, price FROM fills ORDER BY id LIMIT 50 OFFSET 123456;
-- clean postgresql: paged by key
SELECT id, price FROM fills WHERE id > 5000 ORDER BY id LIMIT 100;
-- clean mysql: an early page
SELECT id, price FROM fills ORDER BY id LIMIT 100 OFFSET 999;
-- clean sqlite: a parameter's value is not known
SELECT id, price FROM fills ORDER BY id LIMIT ? OFFSET ?;
