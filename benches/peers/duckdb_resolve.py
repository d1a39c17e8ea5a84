"""Simplified ID Merge in DuckDB: duckdb_resolve.py IN OUT [--in-order]

This is the fastest of the variants that we tried. Without --in-order, the order of the output differs
from run to run.
"""

import sys

import duckdb

source, target = (path.replace("'", "''") for path in sys.argv[1:3])
in_order = sys.argv[3:] == ["--in-order"]
number, order = (", row_number() OVER () AS number", "ORDER BY number") if in_order else ("", "")
connection = duckdb.connect()
connection.execute("SET threads = 2")
connection.execute(
    f"""
    CREATE TEMP VIEW events AS
    SELECT event, properties {number} FROM read_ndjson('{source}')
    """
)
connection.execute(
    """
    CREATE TEMP TABLE users AS
    SELECT properties."$device_id" AS device,
           arg_min(properties."$user_id", properties."time") AS "user"
    FROM events
    WHERE properties."$user_id" IS NOT NULL
    GROUP BY device
    """
)
connection.execute(
    f"""
    COPY (
        SELECT event,
               struct_update(properties, distinct_id := coalesce(
                   properties."$user_id", "user", '$device:' || properties."$device_id"
               )) AS properties
        FROM events LEFT JOIN users ON device = properties."$device_id"
        {order}
    ) TO '{target}' (FORMAT json)
    """
)
