"""The path of a file is a table, and gives what the table in it gives."""

import json
import os
import pathlib

import idmerge
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from conftest import as_line, as_pyarrow, odd_rows, run

pytestmark = pytest.mark.filterwarnings("ignore:there is no column:UserWarning")

#: Without lists, which CSV does not have.
PLAIN = [{name: value for name, value in row.items() if name != "$distinct_ids"} for row in odd_rows() if row["event"] != "$merge"]


def test_parquet_is_its_table(engine, tmp_path):
    table, file = as_pyarrow(odd_rows()), tmp_path / "events.parquet"
    pq.write_table(table, file, row_group_size=7)
    wanted = pa.table(idmerge.resolve(table, engine=engine))
    for path in (file, str(file)):
        assert pa.table(idmerge.resolve(path, engine=engine)) == wanted
    assert pa.table(idmerge.mapping(file, engine=engine)) == pa.table(idmerge.mapping(table, engine=engine))
    whole, parts = idmerge.Engine(engine), idmerge.Engine(engine)
    assert whole.apply(table) == parts.apply(file) and whole.snapshot() == parts.snapshot()
    with idmerge.Store(tmp_path / "store", engine=engine) as store:
        assert store.ingest(file)["events"] == len(table) - 2


def test_csv_has_columns_of_text(engine, tmp_path):
    file = tmp_path / "events.CSV"
    pyarrow.csv.write_csv(as_pyarrow(PLAIN), file)
    wanted = pa.table(idmerge.resolve(as_pyarrow(PLAIN), engine=engine)).to_pylist()
    found = pa.table(idmerge.resolve(file, engine=engine)).to_pylist()
    assert [row["distinct_id"] for row in found] == [row["distinct_id"] for row in wanted]
    assert len({row["distinct_id"] for row in found}) > 7
    # Absent and empty are the same (ID-3).
    assert all(value != "" for row in found for value in row.values())


def test_lines_of_json_are_events(command, engine, tmp_path):
    file, rows = tmp_path / "events.ndjson", odd_rows()
    file.write_text("\ufeff" + "\n\n".join(as_line(row) for row in rows), encoding="utf-8")
    found = idmerge.resolve(file, engine=engine)
    lines, summary = run(command, "resolve", "-", "--engine", engine, rows=rows)
    ids = [json.loads(line)["properties"]["distinct_id"] or None for line in lines.splitlines()]
    refused = set(pa.table(found.refused)["row"].to_pylist())
    table = pa.table(found)
    assert table.column_names[:2] == ["event", "properties"]
    kept = [id for row, id in enumerate(table["distinct_id"].to_pylist()) if row not in refused]
    assert kept == ids and len(refused) == json.loads(summary)["refused"] == 2


def test_a_file_that_cannot_be_read_says_why(tmp_path):
    def fails(name, content, match, kind=idmerge.IdmergeError):
        file = tmp_path / name
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(kind, match=match):
            idmerge.resolve(file, engine="simplified")

    fails("none.parquet", None, "No such file", FileNotFoundError)
    fails("cut.parquet", b"PAR1" + bytes(20), r"cut.parquet: its Parquet data is damaged")
    fails("events.gz", b"\x1f\x8b\x08\x00", "events.gz: it is compressed; .*`python -m idmerge`")
    fails("in.ndjson", b'{"event":"A","properties":{}}\n[1]\n', "in.ndjson: line 2 is no JSON object")
    fails("in.ndjson", b'{"event":"A"}\n{"event":"\xff"}\n', "in.ndjson: line 2 is not UTF-8")
    fails("long.ndjson", b"{" + b" " * (16 << 20) + b"}\n", "line 1 is longer than 16777216 bytes")
    fails("ragged.csv", b"event,$user_id\nA,u\nB\n", "ragged.csv: its CSV is broken: .*line: 3")
    fails("floats.csv", b"name,$user_id\nA,u\n", "no column event", idmerge.ColumnError)
    empty = tmp_path / "empty.ndjson"
    empty.write_bytes(b"")
    assert idmerge.resolve(empty, engine="simplified").summary.events == 0


def test_a_path_is_whatever_has_one(tmp_path):
    class Entry(os.PathLike):
        def __fspath__(self):
            return str(tmp_path / "events.ndjson")

    pathlib.Path(Entry()).write_text('{"event":"A","properties":{"$device_id":"D1"}}\n')
    assert pa.table(idmerge.own_ids(Entry(), engine="simplified"))["distinct_id"].to_pylist() == ["$device:D1"]
