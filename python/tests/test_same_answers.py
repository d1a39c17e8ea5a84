"""The package gives what the command gives for the same rows, from each library and in each model."""

import json

import idmerge
import pandas as pd
import polars as pl
import duckdb
import pyarrow as pa
import pytest
from conftest import LIBRARIES, as_pyarrow, odd_rows, run

# Some tables have only the columns that matter here.
pytestmark = pytest.mark.filterwarnings("ignore:there is no column:UserWarning")

ANSWER = [
    "distinct_id",
    "$distinct_id_before_identity",
    "$is_reshuffled",
    "$identity_failure_reason",
    "$failure_reason",
    "$failure_description",
]


def of_command(command, engine, rows, *settings):
    """The answers of the command to rows, and its summary."""
    out, summary = run(command, "resolve", "--engine", engine, *settings, rows=[dict(row, n=n) for n, row in enumerate(rows)])
    answers = {}
    # Not splitlines, for which U+2028 ends a line.
    for line in out.split("\n")[:-1]:
        properties = json.loads(line)["properties"]
        answer = {name: properties.get(name) for name in ANSWER}
        # W-7: in JSON the event without an ID has an empty one; in a column it has none.
        answer["distinct_id"] = answer["distinct_id"] or None
        answers[properties["n"]] = answer
    return answers, json.loads(summary.splitlines()[-1])


def same(command, engine, rows, table, **settings):
    options = [part for name, value in settings.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    answers, summary = of_command(command, engine, rows, *options)
    resolved = idmerge.resolve(table, engine=engine, settings=settings)
    found = pa.table(resolved).to_pylist()
    refused = pa.table(resolved.refused).to_pydict()["row"]
    assert len(found) == len(rows)
    nothing = dict.fromkeys(ANSWER)
    for number, row in enumerate(found):
        assert {name: row[name] for name in ANSWER} == answers.get(number, nothing), rows[number]
    assert refused == [n for n in range(len(rows)) if n not in answers]
    ours = resolved.summary.as_dict()
    for name in summary:
        if name != "first_refused":
            assert ours[name] == summary[name], name
    assert (ours["first_refused"] is None) == (summary["first_refused"] is None)
    mapping = "".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" for row in pa.table(resolved.engine.mapping()).to_pylist())
    assert mapping == run(command, "mappings", "--engine", engine, "-q", *options, rows=rows)[0]
    return resolved


def test_odd_ids_resolve_as_in_the_command(command, engine, library):
    rows = odd_rows()
    resolved = same(command, engine, rows, library(rows))
    assert resolved.summary.refused == {"simplified": 2, "original": 2, "legacy": 2}[engine]


def test_the_mapping_is_one_from_all_libraries(engine):
    rows = odd_rows()
    mappings = [pa.table(idmerge.mapping(make(rows), engine=engine)) for make in LIBRARIES.values()]
    assert len(mappings[0]) > 5
    assert all(mapping.equals(mappings[0]) for mapping in mappings)


@pytest.mark.parametrize("wide", [2**53 + 1, -(2**63), 2**64 - 1])
def test_integers_are_exact(command, engine, library, wide):
    user = [wide, 7, None, 12345678901234567 if wide < 2**63 else wide - 1]
    if wide == 2**53 + 1:
        user[3] = 2**53
    rows = [{"event": "A", "$user_id": u, "$device_id": f"D{n}"} for n, u in enumerate(user)]
    rows += [{"event": "$create_alias", "distinct_id": str(wide), "alias": "a"}]
    rows = [{name: row.get(name) for name in ("event", "$user_id", "$device_id", "distinct_id", "alias")} for row in rows]
    resolved = pa.table(same(command, engine, rows, library(rows)))
    if engine == "simplified":
        assert resolved["distinct_id"].to_pylist()[0] == str(wide)


def nested(rows):
    properties = [{k: v for k, v in row.items() if k != "event" and v is not None} for row in rows]
    names = [row["event"] for row in rows]
    flat = as_pyarrow(rows)
    members = [name for name in flat.column_names if name != "event"]
    struct = pa.StructArray.from_arrays([flat[name].combine_chunks() for name in members], names=members)
    yield "json", pa.table({"event": names, "properties": [json.dumps(p, indent=1) for p in properties]})
    yield "struct", pa.table({"event": names, "properties": struct})
    entries = [[(k, v if isinstance(v, str) else json.dumps(v)) for k, v in p.items()] for p in properties]
    kind = pa.map_(pa.string(), pa.string())
    yield "map", pa.table({"event": names, "properties": pa.array(entries, kind)})
    yield "dictionaries", pa.table({name: c if name == "$distinct_ids" else c.dictionary_encode() for name, c in zip(flat.column_names, flat.columns)})
    larges = [pa.large_list(pa.large_string()) if f.name == "$distinct_ids" else pa.large_string() for f in flat.schema]
    yield "large", flat.cast(pa.schema(list(zip(flat.column_names, larges))))
    views = [f.type if f.name == "$distinct_ids" else pa.string_view() for f in flat.schema]
    yield "views", flat.cast(pa.schema(list(zip(flat.column_names, views))))


def test_properties_can_be_nested_and_texts_of_any_type(command, engine):
    rows = odd_rows()
    kinds = []
    for kind, table in nested(rows):
        kinds.append(kind)
        try:
            resolved = same(command, engine, rows, table)
        except AssertionError as error:
            raise AssertionError(kind) from error
        assert "string_view" not in str(pa.schema(resolved))
        if kind in ("json", "struct", "map"):
            assert resolved.columns[:2] == ["event", "properties"]
    assert kinds == ["json", "struct", "map", "dictionaries", "large", "views"]


def test_a_column_counts_before_a_property_unless_it_is_null(command, engine):
    table = pa.table(
        {
            "event": ["A", "B", "C"],
            "distinct_id": ["column", None, ""],
            "properties": pa.array([{"distinct_id": "property"}] * 3),
        }
    )
    assert pa.table(idmerge.own_ids(table, engine=engine))["distinct_id"].to_pylist() == ["column", "property", None]
    as_json = table.set_column(2, "properties", pa.array(['{"distinct_id":"property"}'] * 3))
    assert pa.table(idmerge.own_ids(as_json, engine=engine)) == pa.table(idmerge.own_ids(table, engine=engine))


def test_a_member_of_a_null_struct_is_null():
    # Arrow keeps a value below a null, which nobody may see.
    ids = pa.array(["hidden", "seen"])
    properties = pa.StructArray.from_arrays([ids], names=["$user_id"], mask=pa.array([True, False]))
    table = pa.table({"event": ["A", "B"], "$device_id": ["D", "D"], "properties": properties})
    assert pa.table(idmerge.own_ids(table, engine="simplified"))["distinct_id"].to_pylist() == ["$device:D", "seen"]


@pytest.mark.parametrize("engine", ["original", "legacy"])
def test_ar_2_an_identity_event_and_its_duplicates_are_weighed_once(command, engine):
    alias = {"event": "$create_alias", "distinct_id": "U", "alias": "V", "$insert_id": "i", "time": 1700000000}
    again = {**alias, "time": 1700000000000}
    other = {**alias, "time": 1700000001}
    taken = {"event": "$create_alias", "distinct_id": "W", "alias": "V", "$insert_id": "j", "time": 1700000002}
    rows = [alias, taken, taken, again, other]
    same(command, engine, rows, as_pyarrow(rows))
    whole = idmerge.Engine(engine)
    whole.apply(as_pyarrow(rows))
    parts = idmerge.Engine(engine)
    summaries = [parts.apply(as_pyarrow([row])) for row in rows]
    assert parts.snapshot() == whole.snapshot()
    assert sum(summary.rejections for summary in summaries) == 1


def test_settings_are_those_of_the_command(command):
    rows = [{"event": "$merge", "$distinct_ids": ["hub", f"s{n}"], "distinct_id": "hub"} for n in range(4)]
    rows += [{"event": "$identify", "distinct_id": "hub", "$anon_id": "not-a-uuid", "$distinct_ids": None}]
    same(command, "original", rows, as_pyarrow(rows), max_cluster_ids=3)
    same(command, "original", rows, as_pyarrow(rows), max_id_bytes=5, anon_id_format="sdk")


def test_ar_4_resolving_twice_changes_nothing(engine, library):
    once = idmerge.resolve(library(odd_rows()), engine=engine)
    kept = pa.table(once)
    kept = kept.filter(pa.compute.is_valid(kept["distinct_id"]))
    twice = idmerge.resolve(kept, engine=engine)
    assert pa.table(twice) == kept
    assert twice.engine.snapshot() == once.engine.snapshot()


def test_each_library_takes_what_comes_out(engine):
    resolved = idmerge.resolve(as_pyarrow(odd_rows()), engine=engine)
    ids = pa.table(resolved)["distinct_id"].to_pylist()
    assert pl.DataFrame(resolved)["distinct_id"].to_list() == ids
    frame = pd.DataFrame.from_arrow(resolved) if hasattr(pd.DataFrame, "from_arrow") else pa.table(resolved).to_pandas()
    assert frame["distinct_id"].astype(object).where(frame["distinct_id"].notna(), None).to_list() == ids
    assert [row[0] for row in duckdb.sql("SELECT distinct_id FROM resolved").fetchall()] == ids
    assert pa.RecordBatchReader.from_stream(resolved).read_all()["distinct_id"].to_pylist() == ids
    # pyarrow cannot sort views.
    pa.table(resolved).sort_by("distinct_id")


def test_all_columns_are_kept_and_only_those_of_an_earlier_answer_are_replaced():
    table = pa.table(
        {
            "$failure_reason": ["old"],
            "event": ["A"],
            "$preshuffle_distinct_id": ["old"],
            "distinct_id": ["u"],
            "price": [1.5],
            "tags": [["x"]],
        }
    )
    resolved = idmerge.resolve(table, engine="original")
    assert resolved.columns == [
        "$failure_reason",
        "event",
        "distinct_id",
        "price",
        "tags",
        "$distinct_id_before_identity",
        "$is_reshuffled",
        "$identity_failure_reason",
        "$failure_description",
    ]
    assert pa.table(resolved).to_pylist()[0]["price"] == 1.5
    assert pa.table(resolved)["$failure_reason"].to_pylist() == [None]


def test_a_part_of_a_table_is_read_alone(command, engine):
    rows = odd_rows()
    rows.insert(0, {**rows[-6], "$distinct_ids": ["cut", "away"]})
    assert rows[-6]["event"] == "$merge"
    for kind, table in nested(rows):
        try:
            same(command, engine, rows[3:-4], table.slice(3, len(rows) - 7))
        except AssertionError as error:
            raise AssertionError(kind) from error
