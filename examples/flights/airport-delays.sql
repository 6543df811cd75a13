-- Per airport and hour of departure: how many flights left, how late they were, how far they went.
-- Everything but CREATE FUNCTION is plain Flink SQL.

CREATE TABLE flights (
    `date` TIMESTAMP(3),
    delay BIGINT,
    distance BIGINT,
    origin STRING,
    destination STRING,
    seen AS PROCTIME(),
    WATERMARK FOR `date` AS `date` - INTERVAL '5' MINUTE
) WITH (
    'connector' = 'rocketmq',
    'topic' = 'flights',
    'consumerGroup' = 'airport-delays',
    'nameServerAddress' = '127.0.0.1:9876',
    'format' = 'json'
);

CREATE TABLE airports (
    iata STRING,
    name STRING,
    city STRING,
    state STRING,
    country STRING,
    latitude DOUBLE,
    longitude DOUBLE,
    PRIMARY KEY (iata) NOT ENFORCED
) WITH (
    'connector' = 'file',
    'path' = 'airports.csv',
    'format' = 'csv'
);

CREATE TABLE airport_delays (
    hour_start TIMESTAMP(3),
    origin STRING,
    city STRING,
    flights BIGINT,
    mean_delay DOUBLE,
    worst_delay BIGINT,
    miles DECIMAL(38, 3)
) WITH (
    'connector' = 'rocketmq',
    'topic' = 'airport_delays',
    'produceGroup' = 'airport-delays',
    'nameServerAddress' = '127.0.0.1:9876',
    'format' = 'json'
);

CREATE FUNCTION haversine_miles(from_latitude DOUBLE, from_longitude DOUBLE, to_latitude DOUBLE, to_longitude DOUBLE)
    RETURNS DOUBLE LANGUAGE wasm AS '../functions/rust/haversine.wasm';

-- A sum of DECIMAL does not depend on the order in which rows arrive; a sum of DOUBLE would.
CREATE TEMPORARY VIEW departures AS
SELECT
    f.`date`,
    f.delay,
    f.origin,
    a.city,
    CAST(haversine_miles(a.latitude, a.longitude, b.latitude, b.longitude) AS DECIMAL(10, 3)) AS miles
FROM flights AS f
JOIN airports FOR SYSTEM_TIME AS OF f.seen AS a ON f.origin = a.iata
JOIN airports FOR SYSTEM_TIME AS OF f.seen AS b ON f.destination = b.iata;

INSERT INTO airport_delays
SELECT
    window_start,
    origin,
    city,
    COUNT(*),
    AVG(CAST(delay AS DOUBLE)),
    MAX(delay),
    SUM(miles)
FROM TABLE(TUMBLE(TABLE departures, DESCRIPTOR(`date`), INTERVAL '1' HOUR))
GROUP BY window_start, window_end, origin, city;
