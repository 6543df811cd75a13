-- Optional lookups with a further condition, several streams as one, common table expressions.
CREATE TABLE orders (id BIGINT, customer BIGINT, amount DECIMAL(10, 2), proctime AS PROCTIME())
  WITH ('connector' = 'rocketmq', 'topic' = 'orders', 'format' = 'json');
CREATE TABLE returns (id BIGINT, customer BIGINT, amount DECIMAL(10, 2), proctime AS PROCTIME())
  WITH ('connector' = 'rocketmq', 'topic' = 'returns', 'format' = 'json');
CREATE TABLE customers (id BIGINT, name STRING, active BOOLEAN)
  WITH ('connector' = 'filesystem', 'path' = 'customers.csv', 'format' = 'csv');
CREATE TABLE named (id BIGINT, name STRING, amount DECIMAL(10, 2), kind STRING) WITH ('connector' = 'blackhole');
CREATE TABLE totals (name STRING, total DECIMAL(38, 2), PRIMARY KEY (name) NOT ENFORCED)
  WITH ('connector' = 'rocketmq', 'topic' = 'totals', 'format' = 'json');
CREATE VIEW movements AS
  SELECT id, customer, amount, 'order' AS kind, proctime FROM orders
  UNION ALL
  SELECT id, customer, -amount, 'return', proctime FROM returns;
CREATE MATERIALIZED VIEW known AS
  SELECT m.id, c.name, m.amount, m.kind
  FROM movements AS m LEFT JOIN customers FOR SYSTEM_TIME AS OF m.proctime AS c ON m.customer = c.id AND c.active
  WHERE m.amount <> 0
  EMIT CHANGES;
INSERT INTO named SELECT id, COALESCE(name, 'unknown'), amount, kind FROM known;
INSERT INTO totals WITH some AS (SELECT name, amount FROM known WHERE name IS NOT NULL) SELECT name, SUM(amount) FROM some GROUP BY name;
