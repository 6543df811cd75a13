-- Per origin airport and hour: how many flights left, how late they were, and how far they went.
SET 'pipeline.name' = 'airport_delays';

CREATE TABLE flights (
  `date`      TIMESTAMP(3),
  delay       BIGINT,
  distance    BIGINT,
  origin      STRING,
  destination STRING,
  proctime AS PROCTIME(),
  WATERMARK FOR `date` AS `date` - INTERVAL '1' MINUTE
) WITH (
  'connector' = 'rocketmq',
  'topic' = 'flights',
  'consumerGroup' = 'airport-delays',
  'nameServerAddress' = 'localhost:9876',
  'scanStartupMode' = 'earliest',
  'format' = 'json'
);

CREATE TABLE airports (
  iata      STRING,
  name      STRING,
  city      STRING,
  state     STRING,
  country   STRING,
  latitude  DOUBLE,
  longitude DOUBLE,
  PRIMARY KEY (iata) NOT ENFORCED
) WITH ('connector' = 'file', 'path' = 'airports.csv', 'format' = 'csv', 'header' = 'true');

CREATE TABLE airport_delays (
  origin       STRING,
  city         STRING,
  window_start TIMESTAMP(3),
  window_end   TIMESTAMP(3),
  flights      BIGINT,
  mean_delay   DOUBLE,
  worst_delay  BIGINT,
  miles        DECIMAL(38, 3),
  PRIMARY KEY (origin, window_start) NOT ENFORCED
) WITH (
  'connector' = 'rocketmq',
  'topic' = 'airport_delays',
  'produceGroup' = 'airport-delays',
  'nameServerAddress' = 'localhost:9876',
  'format' = 'json'
);

CREATE FUNCTION great_circle_miles(
  from_latitude DOUBLE, from_longitude DOUBLE, to_latitude DOUBLE, to_longitude DOUBLE
) RETURNS DOUBLE LANGUAGE wasm AS 'great_circle.wasm';

-- Miles are summed as decimals: a sum of those does not depend on the order of the rows.
CREATE VIEW departures AS
SELECT
  f.`date`, f.delay, f.origin, o.city,
  CAST(great_circle_miles(o.latitude, o.longitude, d.latitude, d.longitude) AS DECIMAL(12, 3)) AS miles
FROM flights AS f
JOIN airports FOR SYSTEM_TIME AS OF f.proctime AS o ON f.origin = o.iata
JOIN airports FOR SYSTEM_TIME AS OF f.proctime AS d ON f.destination = d.iata;

INSERT INTO airport_delays
SELECT
  origin, city, window_start, window_end,
  COUNT(*), AVG(CAST(delay AS DOUBLE)), MAX(delay), SUM(miles)
FROM TABLE(TUMBLE(TABLE departures, DESCRIPTOR(`date`), INTERVAL '1' HOUR))
GROUP BY origin, city, window_start, window_end;
