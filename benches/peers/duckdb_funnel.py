"""The funnel of Page View, Add to Cart and Checkout in DuckDB: duckdb_funnel.py IN OUT

Users are those of Simplified ID Merge, and beside them every distinct_id as a user of its own. The first
step opens the only entry of a user, each next step is the first event of its name after the step before,
at most seven days after the first step, and equal times count as they came: rule F-3 without grace.
"""

import json
import sys

import duckdb

source = sys.argv[1].replace("'", "''")
STEPS = ["Page View", "Add to Cart", "Checkout"]
WINDOW_S = 7 * 24 * 60 * 60

connection = duckdb.connect()
connection.execute("SET threads = 2")
connection.execute(
    f"""
    CREATE TEMP TABLE events AS
    SELECT event AS name,
           properties."time" AS "time",
           row_number() OVER () AS number,
           properties."$device_id" AS device,
           properties."$user_id" AS "user"
    FROM read_ndjson('{source}')
    """
)
connection.execute(
    """
    CREATE TEMP TABLE links AS
    SELECT device, arg_min("user", number) AS "user" FROM events WHERE "user" IS NOT NULL GROUP BY device
    """
)
connection.execute(
    f"""
    CREATE TEMP TABLE steps AS
    SELECT name, "time", number,
           coalesce(events."user", links."user", '$device:' || device) AS merged,
           coalesce(events."user", '$device:' || device) AS own
    FROM events LEFT JOIN links USING (device)
    WHERE name IN ({", ".join(f"'{step}'" for step in STEPS)})
    """
)


def counts(who):
    """How many users of this column take each step."""
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE reached AS
        SELECT {who} AS who, min("time") AS opening, min(("time", number)) AS reached_at
        FROM steps WHERE name = '{STEPS[0]}' GROUP BY who
        """
    )
    found = [connection.execute("SELECT count(*) FROM reached").fetchone()[0]]
    for step in STEPS[1:]:
        connection.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE reached AS
            SELECT who, any_value(opening) AS opening, min(("time", number)) AS reached_at
            FROM reached JOIN steps ON {who} = who
            WHERE name = '{step}' AND ("time", number) > reached_at AND "time" <= opening + {WINDOW_S}
            GROUP BY who
            """
        )
        found.append(connection.execute("SELECT count(*) FROM reached").fetchone()[0])
    return found


figures = zip(STEPS, counts("merged"), counts("own"))
with open(sys.argv[2], "w") as output:
    steps = [
        {"event": step, "users": users, "users_without_merge": without}
        for step, users, without in figures
    ]
    json.dump({"steps": steps}, output)
