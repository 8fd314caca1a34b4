-- Statements that are never explained, each after the reason that is told: `-- dialect: reason`.
-- What a reason says of names is in it word for word; `*` stands for any rest.

-- postgresql: it is several statements
SELECT 1; INSERT INTO audit (note) VALUES ('ran');
-- postgresql: it is several statements
EXPLAIN SELECT 1; DELETE FROM orders;
-- postgresql: it is no query: TX
COMMIT;
-- postgresql: it is no query: UTILITY
EXPLAIN ANALYZE DELETE FROM orders;
-- postgresql: it is no query: UTILITY
VACUUM orders;
-- postgresql: it is no query: UTILITY
DO $$ BEGIN DELETE FROM orders; END $$;
-- postgresql: it is no query: UTILITY
PREPARE mine AS DELETE FROM orders;
-- postgresql: it is no query: CALL
EXECUTE mine;
-- postgresql: it is no query: CALL
CALL settle_all();
-- postgresql: it is no query: COPY
COPY orders TO PROGRAM 'cat';
-- postgresql: it is no query: DDL
DROP TABLE orders;
-- postgresql: it is no query: DDL
CREATE TABLE copied AS SELECT * FROM orders;
-- postgresql: it is no query: MERGE
MERGE INTO orders USING fills ON fills.order_id = orders.id WHEN MATCHED THEN DELETE;
-- postgresql: it is no query: FETCH
DECLARE c CURSOR FOR SELECT * FROM orders;
-- postgresql: it begins with no known verb
TABLE orders;
-- postgresql: lexer and parser disagree: SELECT and VALUES
VALUES (1), (2);
-- postgresql: a common table expression in it writes
WITH gone AS (DELETE FROM orders RETURNING *) SELECT * FROM gone;
-- postgresql: a common table expression in it writes
WITH made AS (INSERT INTO audit (note) VALUES ('ran') RETURNING note) SELECT note FROM made;
-- postgresql: a part of it writes
WITH gone AS (DELETE FROM orders RETURNING id) INSERT INTO audit (note) SELECT id::text FROM gone;
-- postgresql: SELECT INTO writes its rows somewhere
SELECT * INTO copied FROM orders;
-- postgresql: it locks rows
SELECT * FROM orders WHERE id = 1 FOR UPDATE;
-- postgresql: it locks rows
SELECT * FROM orders FOR NO KEY UPDATE SKIP LOCKED;
-- postgresql: it locks rows
SELECT * FROM (SELECT * FROM orders FOR SHARE) o;
-- postgresql: a quote or comment in it does not end
SELECT 'open FROM orders;
-- postgresql: it comes from a probe
/* tickspan:probe */ SELECT * FROM orders;
-- postgresql: dblink asks another server
SELECT * FROM dblink('host=elsewhere', 'DELETE FROM orders') AS t(id int);
-- postgresql: dblink asks another server
SELECT dblink_exec('host=elsewhere', 'DELETE FROM orders');
-- postgresql: crosstab runs a text as a statement
SELECT * FROM crosstab('DELETE FROM orders RETURNING 1, 2, 3') AS ct(a int, b int);
-- postgresql: crosstab runs a text as a statement
SELECT * FROM public.crosstab2('SELECT 1, 2, 3');
-- postgresql: xpath_table runs a text as a statement
SELECT * FROM xpath_table('id', 'doc', 'orders', '/a', 'true') AS t(id int, doc text);
-- postgresql: query_to_xml runs a text as a statement
SELECT query_to_xml('DELETE FROM orders', true, false, '');
-- postgresql: table_to_xml reads a whole table
SELECT table_to_xml('orders', true, false, '');
-- postgresql: ts_stat runs a text as a statement
SELECT * FROM ts_stat('SELECT to_tsvector(note) FROM audit');
-- postgresql: pg_… functions act on the server
SELECT pg_sleep(10);
-- postgresql: pg_… functions act on the server
SELECT pg_terminate_backend(pid) FROM pg_stat_activity;
-- postgresql: pg_… functions act on the server
SELECT pg_read_file('/etc/passwd');
-- postgresql: pg_… functions act on the server
SELECT pg_catalog.pg_advisory_lock(1) FROM orders;
-- postgresql: pg_… functions act on the server
SELECT "pg_sleep"(10);
-- postgresql: pg_… functions act on the server
SELECT PG_SLEEP (10);
-- postgresql: pg_… functions act on the server
SELECT pg_sleep/* a comment */(10);
-- postgresql: lo_… functions act on large objects
SELECT lo_unlink(1);
-- postgresql: set_config changes settings
SELECT set_config('search_path', 'evil', false);
-- postgresql: nextval takes a number of a sequence
INSERT INTO audit (id, note) VALUES (nextval('audit_id_seq'), 'x');
-- postgresql: setval changes a sequence
SELECT setval('audit_id_seq', 1);
-- postgresql: txid_current takes a transaction id
SELECT * FROM orders WHERE id = txid_current();
-- postgresql: OPERATOR() may name an operator of the user's
SELECT 1 OPERATOR(public.===) 2;
-- postgresql: random is volatile
SELECT * FROM orders WHERE price > random();
-- postgresql: clock_timestamp is volatile
SELECT * FROM orders WHERE placed_at < clock_timestamp();
-- postgresql: acting is a function of the user's: planning may run it
SELECT acting('an immutable function that writes');
-- postgresql: acting is a function of the user's: planning may run it
SELECT * FROM orders WHERE note = acting('x');
-- postgresql: public.acting is a function of the user's: planning may run it
SELECT public.acting('x');
-- postgresql: quote_ident is a function of the user's: planning may run it
SELECT quote_ident(1, 2);
-- postgresql: unheard_of is no function that the catalog knows
SELECT unheard_of(1);
-- postgresql: the view acting_view: acting is a function of the user's: planning may run it
SELECT * FROM acting_view;
-- postgresql: the view acting_view: acting is a function of the user's: planning may run it
SELECT * FROM view_of_acting_view;
-- postgresql: audit_id_seq is a sequence
SELECT last_value FROM audit_id_seq;
-- postgresql: secured has row security: planning may run its policies
SELECT * FROM secured;
-- postgresql: nowhere is no table that this account can see
SELECT * FROM nowhere;
-- postgresql: checked is no built-in type and no enumeration
SELECT 'x'::checked;
-- postgresql: checked is no built-in type and no enumeration
SELECT CAST('x' AS checked) FROM orders;

-- mysql: it is several statements
SELECT 1; DELETE FROM orders;
-- mysql: sleep waits
SELECT SLEEP(10);
-- mysql: sleep waits
SELECT * FROM orders WHERE id = SLEEP(10);
-- mysql: the parser sees no single statement in it*
SELECT /*!50000 SLEEP(10) */ 1;
-- mysql: benchmark burns time
SELECT BENCHMARK(100000000, MD5('x'));
-- mysql: get_lock takes a lock
SELECT GET_LOCK('x', 10);
-- mysql: load_file reads a file
SELECT LOAD_FILE('/etc/passwd');
-- mysql: acting is no function that is known to only compute
SELECT acting('x');
-- mysql: test.acting is no function that is known to only compute
SELECT test.acting('x');
-- mysql: it uses a variable of its session
SELECT id INTO @x FROM orders;
-- mysql: SELECT INTO writes its rows somewhere
SELECT id INTO x FROM orders;
-- mysql: the parser sees no single statement in it*
SELECT id FROM orders LIMIT 1 INTO OUTFILE '/tmp/x';
-- mysql: it uses a variable of its session
SELECT @x := 1;
-- mysql: it uses a variable of its session
SELECT @@global.read_only;
-- mysql: it takes locks
SELECT * FROM orders LOCK IN SHARE MODE;
-- mysql: it locks rows
SELECT * FROM orders FOR UPDATE;
-- mysql: the parser sees no single statement in it*
SELECT * FROM orders PROCEDURE ANALYSE();
-- mysql: the parser sees no single statement in it*
REPLACE INTO orders VALUES (1);
-- mysql: it is no query: COPY
LOAD DATA INFILE '/etc/passwd' INTO TABLE orders;
-- mysql: it is no query: CALL
CALL settle_all();
-- mysql: it is no query: UTILITY
SET GLOBAL general_log = 0;
-- mysql: a literal in it would tear the server's document
SELECT * FROM orders WHERE symbol = 'x", "key": "y';
-- mysql: a literal in it would tear the server's document
SELECT * FROM orders WHERE symbol = 'x\n"';
-- mysql: a literal in it would tear the server's document
SELECT * FROM orders WHERE symbol = X'78222C20';

-- sqlite: it is several statements
SELECT 1; DROP TABLE orders;
-- sqlite: it is no query: UTILITY
PRAGMA writable_schema = 1;
-- sqlite: it is no query: UTILITY
ATTACH DATABASE '/tmp/other.db' AS other;
-- sqlite: load_extension loads a library
SELECT load_extension('/tmp/evil.so');
-- sqlite: readfile reads a file
SELECT readfile('/etc/passwd');
-- sqlite: writefile writes a file
SELECT writefile('/tmp/x', 'y');
-- sqlite: pragma_table_info is no function that is known to only compute
SELECT * FROM pragma_table_info('orders');
-- sqlite: it is no query: DDL
CREATE TABLE copied AS SELECT * FROM orders;
