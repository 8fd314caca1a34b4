-- schema postgresql
CREATE TABLE orders (id bigint PRIMARY KEY, venue_order_id text, price numeric(18,8), code char(8));
-- schema mysql
CREATE TABLE orders (id int PRIMARY KEY, venue_order_id varchar(40), price decimal(18,8));
CREATE TABLE fills (id int PRIMARY KEY, order_id int);
-- schema sqlite
CREATE TABLE orders (id INTEGER PRIMARY KEY, venue_order_id TEXT);
CREATE TABLE fills (id INTEGER PRIMARY KEY, order_id INTEGER);
-- hit mysql error
SELECT id FROM orders WHERE venue_order_id = 4711;
-- hit postgresql error: a float or Decimal parameter for a whole number
SELECT price FROM orders WHERE id = $1::numeric;
-- hit postgresql error
SELECT id FROM orders WHERE price = $1::double precision;
-- hit postgresql error: char is padded, text is not
SELECT id FROM orders WHERE code = $1::text;
-- hit mysql error: a join
SELECT o.id FROM orders AS o JOIN fills AS f ON f.order_id = o.venue_order_id;
-- hit sqlite error: a join
SELECT o.id FROM orders AS o JOIN fills AS f ON o.venue_order_id = f.order_id;
-- clean mysql: the constant is converted, once
SELECT venue_order_id FROM orders WHERE id = '4711';
-- clean mysql
SELECT id FROM orders WHERE venue_order_id = '4711';
-- clean postgresql: a smaller integer
SELECT price FROM orders WHERE id = $1::integer;
-- clean postgresql: an integer becomes exact
SELECT id FROM orders WHERE price = 5;
-- clean postgresql: varchar and text are one
SELECT id FROM orders WHERE venue_order_id = $1::varchar;
-- clean sqlite: literals take the column's affinity
SELECT id FROM orders WHERE venue_order_id = 4711;
