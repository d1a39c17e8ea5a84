"""What the tests share: events, the libraries that hold them, and the command `idmerge`, which says what is right."""

import json
import os
import pathlib
import subprocess

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

ROOT = pathlib.Path(__file__).parents[2]

#: Columns of events that have no lists: `$distinct_ids` is JSON in them.
COLUMNS = [
    "event",
    "distinct_id",
    "$user_id",
    "$device_id",
    "$identified_id",
    "$anon_id",
    "$anon_distinct_id",
    "alias",
    "$distinct_ids",
    "$insert_id",
    "time",
]

UUID = "4f1b0a5e-9a6b-4c3d-8e2f-0123456789ab"


@pytest.fixture(scope="session")
def command():
    """The path of the command, which cargo builds if IDMERGE does not name one."""
    given = os.environ.get("IDMERGE")
    if given:
        return given
    build = ["cargo", "build", "-p", "idmerge", "--features", "tables", "--message-format=json"]
    built = subprocess.run(build, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    messages = map(json.loads, built.stdout.splitlines())
    executables = [m["executable"] for m in messages if m.get("executable")]
    return executables[-1]


def run(command, *arguments, rows):
    """What the command writes for rows, and its summary."""
    lines = "".join(as_line(row) + "\n" for row in rows)
    arguments = [command, *arguments, "--summary", "json"] if "resolve" in arguments else [command, *arguments]
    done = subprocess.run(arguments, input=lines.encode(), capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode(), done.stderr.decode()


def as_line(row):
    """The event of a row. A value that is None is not there."""
    properties = {name: value for name, value in row.items() if name != "event" and value is not None}
    if "event" not in row or row["event"] is None:
        return json.dumps({"properties": properties})
    return json.dumps({"event": row["event"], "properties": properties})


def schema(rows):
    """An Arrow schema for rows: integers where all values are, and a list for `$distinct_ids`."""
    fields = []
    for name in dict.fromkeys(name for row in rows for name in row):
        values = [row[name] for row in rows if row.get(name) is not None]
        if name == "$distinct_ids":
            kind = pa.list_(pa.string())
        elif values and all(type(value) is int for value in values):
            kind = pa.uint64() if max(values) > 2**63 - 1 else pa.int64()
        else:
            kind = pa.string()
        fields.append((name, kind))
    return pa.schema(fields)


def as_pyarrow(rows):
    return pa.Table.from_pylist(rows, schema=schema(rows))


def as_polars(rows):
    return pl.from_arrow(as_pyarrow(rows))


def as_pandas(rows):
    return as_pyarrow(rows).to_pandas(types_mapper=pd.ArrowDtype)


def as_duckdb(rows):
    table = as_pyarrow(rows)
    connection = duckdb.connect()
    connection.register("events", table)
    connection.sql("CREATE TABLE kept AS SELECT * FROM events")
    return connection.table("kept")


LIBRARIES = {
    "duckdb": as_duckdb,
    "polars": as_polars,
    "lazy polars": lambda rows: as_polars(rows).lazy(),
    "pandas": as_pandas,
    "pyarrow": as_pyarrow,
    "pyarrow in batches": lambda rows: pa.Table.from_batches(as_pyarrow(rows).to_batches(max_chunksize=2)),
}


@pytest.fixture(params=LIBRARIES, ids=lambda name: name.replace(" ", "-"))
def library(request):
    """Makes a table of rows."""
    return LIBRARIES[request.param]


@pytest.fixture(params=["simplified", "original", "legacy"])
def engine(request):
    return request.param


def odd_rows():
    """Events with odd IDs, which link in each model."""
    links = [
        ("D1", "U1"),
        ("d1", "u1"),
        ("\U0001f600", "\U0001f468\u200d\U0001f469"),
        ("x" * 255, "a \"b\", 'c'"),
        (UUID, "9007199254740993"),
        (UUID.upper(), "shouting"),
        ("18446744073709551615", " space"),
        ("$device:D9", "prefixed"),
    ]
    rows = []
    for device, user in links:
        plain = device.removeprefix("$device:")
        rows += [
            {"event": "View", "distinct_id": f"$device:{plain}"},
            {"event": "Log In", "$device_id": device, "$user_id": user},
            {"event": "$create_alias", "distinct_id": user, "alias": plain},
            {"event": "Buy", "$user_id": user},
            {"event": "Look", "$device_id": plain},
        ]
    rows += [
        {"event": "$identify", "distinct_id": "U1", "$anon_id": UUID},
        {"event": "$identify", "distinct_id": "shouting", "$anon_distinct_id": f"$device:{UUID}"},
        {"event": "$merge", "$distinct_ids": ["U1", "u1"], "distinct_id": "U1"},
        {"event": "Log In", "$device_id": "D1", "$user_id": "u1"},
        {"event": "No ID"},
        {"event": "Blocked", "$user_id": "NULL"},
        {"event": "Too long", "$user_id": "x" * 256},
        {"event": "Empty", "$user_id": "", "$device_id": "D1"},
    ]
    return [{name: row.get(name) for name in COLUMNS if name != "time"} for row in rows]
