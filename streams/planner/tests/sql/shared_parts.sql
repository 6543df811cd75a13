-- Two results of one source: what they have in common runs once.
SET 'errors.late' = 'dead-letter';
CREATE TABLE bids (item STRING, price BIGINT, seen BIGINT METADATA FROM 'offset' VIRTUAL, at TIMESTAMP(3),
    cents AS price * 100, WATERMARK FOR at AS at - INTERVAL '4' SECOND)
  WITH ('connector' = 'rocketmq', 'topic' = 'bids', 'format' = 'csv', 'csv.field-delimiter' = ';');
CREATE TABLE hourly (item STRING, hour_end TIMESTAMP(3), cents BIGINT) WITH ('connector' = 'rocketmq', 'topic' = 'hourly', 'format' = 'json');
CREATE TABLE dear (item STRING, cents BIGINT, seen BIGINT) WITH ('connector' = 'blackhole');
CREATE TEMPORARY VIEW windowed AS
  SELECT * FROM TABLE(TUMBLE(DATA => TABLE bids, TIMECOL => DESCRIPTOR(at), SIZE => INTERVAL '1' HOUR, OFFSET => INTERVAL '15' MINUTES));
EXECUTE STATEMENT SET BEGIN
  INSERT INTO hourly SELECT item, window_end, SUM(cents) FROM windowed GROUP BY item, window_start, window_end;
  INSERT INTO dear SELECT item, cents, seen FROM bids WHERE price > 1000;
END;
EXPLAIN INSERT INTO dear SELECT item, MAX(cents), 0 FROM windowed GROUP BY item, window_start, window_end EMIT CHANGES;
EXPLAIN SELECT DISTINCT item FROM bids;
