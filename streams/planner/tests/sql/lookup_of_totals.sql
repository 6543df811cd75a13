-- A lookup for rows that change: what was found for a row is kept until the row is withdrawn.
CREATE TABLE orders (customer BIGINT, amount INT, proctime AS PROCTIME())
  WITH ('connector' = 'rocketmq', 'topic' = 'orders', 'format' = 'json');
CREATE TABLE customers (id BIGINT, name STRING, PRIMARY KEY (id) NOT ENFORCED)
  WITH ('connector' = 'file', 'path' = 'customers.csv', 'format' = 'csv');
CREATE TABLE totals (customer BIGINT, name STRING, total INT, PRIMARY KEY (customer) NOT ENFORCED)
  WITH ('connector' = 'rocketmq', 'topic' = 'totals', 'format' = 'json');
INSERT INTO totals
SELECT t.customer, c.name, t.total
FROM (SELECT customer, SUM(amount) AS total, PROCTIME() AS asked FROM orders GROUP BY customer) AS t
JOIN customers FOR SYSTEM_TIME AS OF t.asked AS c ON t.customer = c.id;
