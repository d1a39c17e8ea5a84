"""Measures the package beside SQL in DuckDB and expressions in Polars that give the same answers.

    python python/benches/speed.py --rows 5000000

needs this package, duckdb, polars and pyarrow, and writes a table of Markdown. Each run is a process of its own, the runs of a
round follow each other, and the answers must be equal before a figure is printed. `--threads` is for DuckDB and Polars.
`--command PATH` measures the command too, from file to file: one that was built with `cargo build --release --features tables`.
"""

import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

EVENTS = """
    COPY (
        SELECT ['Page View', 'Product View', 'Search', 'Add to Cart', 'Log In'][CAST(1 + hash(n, 1) % 5 AS BIGINT)] AS event,
               1780000000 + n // 20 AS time,
               CAST(CAST(md5(CAST(device AS VARCHAR)) AS UUID) AS VARCHAR) AS "$device_id",
               CASE WHEN hash(n, 2) % 100 < 35 THEN 'user-' || (device * 7919 + CASE WHEN hash(n, 3) % 100 < 5 THEN 1 ELSE 0 END) % {users} END
                   AS "$user_id",
               printf('%016x', n) AS "$insert_id"
        FROM (SELECT range AS n, hash(range, 4) % {devices} AS device FROM range({rows}))
    ) TO '{file}' (FORMAT parquet)
"""

USERS = """
    CREATE TEMP TABLE users AS
    SELECT "$device_id" AS device, arg_min("$user_id", {number}) AS "user"
    FROM {events} WHERE "$user_id" IS NOT NULL GROUP BY 1
"""

DISTINCT_ID = """coalesce("$user_id", "user", '$device:' || "$device_id") AS distinct_id"""

#: What `resolve` adds in Simplified.
ALL = f"""
    events.*, {DISTINCT_ID},
    CASE WHEN "$user_id" IS NULL AND "user" IS NOT NULL THEN '$device:' || "$device_id" END
        AS "$distinct_id_before_identity",
    CASE WHEN "$user_id" IS NULL AND "user" IS NOT NULL THEN true END AS "$is_reshuffled",
    CASE WHEN "$user_id" <> "user" THEN 'errAnonDistinctIdAssignedAlready' END AS "$identity_failure_reason",
    NULL::VARCHAR AS "$failure_reason", NULL::VARCHAR AS "$failure_description"
"""


def duckdb_connection(threads):
    import duckdb

    connection = duckdb.connect()
    connection.sql(f"SET threads = {threads}")
    return connection


def polars_with_answer(events):
    import polars as pl

    device, user = pl.col("$device_id"), pl.col("$user_id")
    links = events.filter(user.is_not_null()).unique("$device_id", keep="first", maintain_order=True)
    links = links.select("$device_id", link="$user_id")
    own = pl.concat_str(pl.lit("$device:"), device)
    is_moved = user.is_null() & pl.col("link").is_not_null()
    return events.join(links, on="$device_id", how="left", maintain_order="left").with_columns(
        pl.coalesce(user, "link", own).alias("distinct_id"),
        pl.when(is_moved).then(own).alias("$distinct_id_before_identity"),
        pl.when(is_moved).then(True).alias("$is_reshuffled"),
        pl.when(user != pl.col("link"))
        .then(pl.lit("errAnonDistinctIdAssignedAlready"))
        .alias("$identity_failure_reason"),
        pl.lit(None, pl.String).alias("$failure_reason"),
        pl.lit(None, pl.String).alias("$failure_description"),
    ).drop("link")


def arrow(how, source, threads):
    """From an Arrow table in memory to one. Returns what is timed, which returns a table."""
    import pyarrow.parquet as pq

    table = pq.read_table(source)
    if how in ("simplified", "original"):
        import idmerge

        return lambda: idmerge.resolve(table, engine=how)
    if how == "polars":
        import polars as pl

        events = pl.from_arrow(table).lazy()
        return lambda: polars_with_answer(events).collect().to_arrow()
    connection = duckdb_connection(threads)

    def sql():
        connection.register("numbered", table)
        events = "(SELECT *, row_number() OVER () AS n FROM numbered)"
        connection.sql(USERS.format(number="n", events=events))
        query = f"SELECT {ALL} FROM numbered AS events LEFT JOIN users ON device = events.\"$device_id\""
        return connection.sql(query).to_arrow_table()

    return sql


def parquet(how, source, target, threads):
    """From a file to a file."""
    if how.startswith("command "):
        resolve = [how.removeprefix("command "), "resolve", source, "--engine", "simplified", "-q", "-o", target]
        return lambda: subprocess.run(resolve, check=True)
    if how in ("simplified", "original"):
        import idmerge
        import pyarrow as pa
        import pyarrow.parquet as pq

        def run():
            resolved = idmerge.resolve(pq.read_table(source), engine=how)
            pq.write_table(pa.table(resolved), target, compression="zstd")

        return run
    if how == "polars":
        import polars as pl

        return lambda: polars_with_answer(pl.scan_parquet(source)).sink_parquet(target, compression="zstd")
    connection = duckdb_connection(threads)

    def sql():
        numbered = f"read_parquet('{source}', file_row_number = true)"
        connection.sql(USERS.format(number="file_row_number", events=numbered))
        query = f"SELECT {ALL} FROM '{source}' AS events LEFT JOIN users ON device = events.\"$device_id\""
        connection.sql(f"COPY ({query}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")

    return sql


def child(kind, how, source, target, threads):
    """Prints the figures of one run."""
    run = arrow(how, source, threads) if kind == "arrow" else parquet(how, source, target, threads)
    who = resource.RUSAGE_CHILDREN if how.startswith("command ") else resource.RUSAGE_SELF
    before, start = resource.getrusage(who), time.perf_counter()
    made = run()
    wall = time.perf_counter() - start
    after = resource.getrusage(who)
    if kind == "arrow":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table(made), target)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps({"wall": wall, "cpu": cpu, "megabytes": after.ru_maxrss >> 10}))


def answer(connection, file):
    """A hash of all columns of all rows, in whatever order they are."""
    columns = connection.sql(f"FROM '{file}'").columns
    names = ", ".join(f'"{name}"' for name in sorted(columns))
    return sorted(columns), connection.sql(f"SELECT count(*), bit_xor(hash({names})) FROM '{file}'").fetchall()[0]


def main():
    parser = argparse.ArgumentParser(description="Measures the package beside DuckDB and Polars.")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--command", help="the command idmerge, with the feature tables")
    arguments = parser.parse_args()
    environment = os.environ | {"POLARS_MAX_THREADS": str(arguments.threads), "OMP_NUM_THREADS": str(arguments.threads)}
    with tempfile.TemporaryDirectory() as folder:
        source, target = pathlib.Path(folder) / "events.parquet", pathlib.Path(folder) / "out.parquet"
        connection = duckdb_connection(arguments.threads)
        sizes = {"rows": arguments.rows, "devices": arguments.rows // 8, "users": arguments.rows // 16}
        connection.sql(EVENTS.format(file=source, **sizes))
        print(f"| {arguments.rows:,} events, {os.cpu_count()} cores | s | processor s | MB |\n|---|---|---|---|")
        for kind in ("arrow", "parquet"):
            figures, answers = {}, {}
            with_command = ["command " + arguments.command] if arguments.command and kind == "parquet" else []
            for _ in range(arguments.rounds):
                for how in ("simplified", *with_command, "duckdb", "polars", "original"):
                    command = [sys.executable, __file__, "--run", kind, how, source, target, str(arguments.threads)]
                    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
                    figures.setdefault(how, []).append(json.loads(done.stdout))
                    answers[how] = answer(connection, target)
                    target.unlink()
            wanted = answers["simplified"]
            wrong = [how for how in ("duckdb", "polars", *with_command) if answers[how] != wanted]
            if wrong:
                sys.exit(f"{kind}: the answers of {' and '.join(wrong)} differ: {answers}")
            for how, runs in figures.items():
                name = how if how in ("duckdb", "polars") else f"`idmerge.resolve`, {how}"
                name = "the command" if how in with_command else name
                cells = (statistics.median(run[figure] for run in runs) for figure in ("wall", "cpu"))
                peak = max(run["megabytes"] for run in runs)
                print(f"| {kind} to {kind}: {name} | {' | '.join(f'{cell:.2f}' for cell in cells)} | {peak:,} |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        child(*sys.argv[2:6], int(sys.argv[6]))
    else:
        main()
