"""Simplified ID Merge in DuckDB: duckdb_resolve.py IN OUT [--in-order]

IN is a file of events, also with gzip, or the CSV file of the benchmark. This is the fastest of the variants that
we tried. Without --in-order, the order of the output differs from run to run.
"""

import sys

import duckdb

source, target = (path.replace("'", "''") for path in sys.argv[1:3])
in_order = sys.argv[3:] == ["--in-order"]
number, order = (", row_number() OVER () AS number", "ORDER BY number") if in_order else ("", "")
connection = duckdb.connect()
connection.execute("SET threads = 2")
if source.endswith(".csv"):
    events = f"""
    SELECT action AS event,
           struct_pack(
               "$source" := 'csv', "$device_id" := cookie, "$user_id" := nullif(customer, ''),
               "time" := epoch_ms(created_at::TIMESTAMPTZ), "$insert_id" := "row",
               category := category, price := price, title := title, url := url,
               distinct_id := NULL::VARCHAR
           ) AS properties
           {number}
    FROM read_csv('{source}', all_varchar = true)
    """
else:
    events = f"SELECT event, properties {number} FROM read_ndjson('{source}')"
connection.execute(f"CREATE TEMP VIEW events AS {events}")
connection.execute(
    """
    CREATE TEMP TABLE users AS
    SELECT properties."$device_id" AS device,
           arg_min(properties."$user_id", properties."time") AS "user"
    FROM events
    WHERE properties."$user_id" IS NOT NULL
      AND event NOT IN ('$identify', '$create_alias', '$merge')
    GROUP BY device
    """
)
connection.execute(
    f"""
    COPY (
        SELECT event,
               struct_update(properties, distinct_id := coalesce(
                   properties."$user_id", "user", '$device:' || properties."$device_id",
                   properties.distinct_id, ''
               )) AS properties
        FROM events LEFT JOIN users ON device = properties."$device_id"
        {order}
    ) TO '{target}' (FORMAT json)
    """
)
