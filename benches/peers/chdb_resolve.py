"""Simplified ID Merge in ClickHouse (chdb): chdb_resolve.py IN OUT

IN is a file of events, also with gzip, or the CSV file of the benchmark. This is the fastest of the variants that
we tried: it keeps the text of an event and replaces its distinct_id. The order of the output differs from run to
run.
"""

import sys

import chdb

source, target = (path.replace("'", "\\'") for path in sys.argv[1:3])

USERS = """
CREATE TABLE users ENGINE = Memory AS
SELECT {device} AS device, argMin({user}, {time}) AS user
FROM file('{source}', {columns})
WHERE {user} IS NOT NULL AND {event} NOT IN ('$identify', '$create_alias', '$merge')
GROUP BY device
"""

if source.endswith(".csv"):
    users = USERS.format(
        source=source,
        columns="'CSVWithNames'",
        event="action",
        device="cookie",
        user="nullIf(customer, '')",
        time="created_at",
    )
    kind = """Tuple(`$source` String, `$device_id` String, `$user_id` Nullable(String), time Int64,
        `$insert_id` String, category String, price String, title String, url String, distinct_id String)"""
    resolve = f"""
        INSERT INTO FUNCTION file('{target}', 'JSONEachRow', 'event String, properties {kind}')
        SELECT
            action,
            CAST((
                'csv', cookie, nullIf(customer, ''),
                toUnixTimestamp64Milli(parseDateTime64BestEffort(created_at, 3, 'UTC')),
                row, category, price, title, url,
                coalesce(nullIf(customer, ''), users.user, concat('$device:', cookie))
            ), '{kind}')
        FROM file('{source}', 'CSVWithNames', 'action String, category String, cookie String, created_at String,
            customer String, price String, row String, title String, url String') AS events
        LEFT ANY JOIN users ON cookie = users.device
        SETTINGS join_use_nulls = 1, output_format_json_skip_null_value_in_named_tuples = 1
    """
else:
    read = "Tuple(`$device_id` Nullable(String), `$user_id` Nullable(String), time Nullable(Float64))"
    users = USERS.format(
        source=source,
        columns=f"'JSONEachRow', 'event String, properties {read}'",
        event="event",
        device="properties.`$device_id`",
        user="properties.`$user_id`",
        time="properties.time",
    )
    own = read.replace("time Nullable(Float64)", "distinct_id Nullable(String)")
    resolve = f"""
        INSERT INTO FUNCTION file('{target}', 'TSVRaw', 'line String')
        WITH concat('"distinct_id":"', coalesce(
            own.2, users.user, concat('$device:', device), own.3, ''
        ), '"') AS resolved
        SELECT if(
            isNull(own.3),
            replaceOne(line, '"properties":{{', concat('"properties":{{', resolved, ',')),
            replaceOne(line, concat('"distinct_id":"', own.3, '"'), resolved)
        )
        FROM (
            SELECT line, JSONExtract(line, 'properties', '{own}') AS own, own.1 AS device
            FROM file('{source}', 'LineAsString', 'line String')
        ) AS events
        LEFT ANY JOIN users USING device
        SETTINGS join_use_nulls = 1
    """

connection = chdb.connect(":memory:")
connection.query("SET max_threads = 2")
connection.query(users)
connection.query(resolve)
