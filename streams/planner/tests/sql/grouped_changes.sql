-- Counts that change with every row, kept per key in a table with a primary key.
CREATE TABLE clicks (page STRING, visitor BIGINT, ms INT, at TIMESTAMP(3), WATERMARK FOR at AS at - INTERVAL '5' SECOND)
  WITH ('connector' = 'rocketmq', 'rocketmq.source.topic' = 'clicks', 'rocketmq.source.group' = 'g',
        'rocketmq.client.endpoints' = 'localhost:9876', 'format' = 'json');
CREATE TABLE per_page (page STRING, visits BIGINT, visitors BIGINT, mean_ms INT, longest INT, PRIMARY KEY (page) NOT ENFORCED)
  WITH ('connector' = 'rocketmq', 'rocketmq.sink.topic' = 'per_page', 'format' = 'json');
INSERT INTO per_page
SELECT UPPER(page), COUNT(*), COUNT(DISTINCT visitor), AVG(ms), MAX(ms) FILTER (WHERE ms < 1000)
FROM clicks WHERE page IS NOT NULL GROUP BY UPPER(page) HAVING COUNT(*) > 1
EMIT CHANGES;
