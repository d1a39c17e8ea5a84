"""Bad input is an error that names the column and says what to do, and nothing is half done."""


import idmerge
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

EVENTS = pa.table({"event": ["Log In"], "$user_id": ["ben"], "$device_id": ["D1"]})


def said(error, *words):
    for word in words:
        assert word in str(error.value), str(error.value)


def test_ids_that_are_floats_are_refused_at_once():
    # pandas makes floats of integers with gaps.
    frame = pd.DataFrame({"event": ["A", "B"], "$user_id": [9007199254740993, None]})
    assert str(frame["$user_id"].dtype) == "float64"
    with pytest.raises(idmerge.ColumnError) as error:
        idmerge.resolve(frame, engine="simplified")
    said(error, "column $user_id is Float64", '.astype("Int64")')
    # The remedy that the message names.
    frame["$user_id"] = pd.array([9007199254740993, None], dtype="Int64")
    frame["$device_id"] = ["D1", "D2"]
    resolved = idmerge.resolve(frame, engine="simplified")
    assert pa.table(resolved)["distinct_id"].to_pylist() == ["9007199254740993", "$device:D2"]
    # A member of a struct too, and in a later batch.
    parts = [pa.RecordBatch.from_pydict({"event": ["A"], "properties": [{"$device_id": value}]}, schema=pa.schema({"event": pa.string(), "properties": pa.struct({"$device_id": pa.float64()})})) for value in (None, 2.0)]
    with pytest.raises(idmerge.ColumnError) as error:
        idmerge.resolve(pa.Table.from_batches(parts), engine="simplified")
    said(error, "$device_id is Float64")
    # Without any value it is no error, and an engine that does not read it does not care.
    empty = pa.table({"event": ["A"], "$user_id": ["u"], "$device_id": pa.array([None], pa.float64())})
    assert idmerge.resolve(empty, engine="simplified").summary.users_after == 1
    other = EVENTS.append_column("$anon_id", pa.array([1.5]))
    assert idmerge.resolve(other, engine="simplified").summary.refused == 0


@pytest.mark.parametrize("kind", [pa.bool_(), pa.timestamp("us"), pa.date32(), pa.decimal128(9, 2)])
def test_other_types_that_no_id_has_are_refused(kind):
    values = {pa.bool_(): True, pa.timestamp("us"): 0, pa.date32(): 0, pa.decimal128(9, 2): 1}
    table = pa.table({"event": ["A"], "distinct_id": pa.array([values[kind]], kind)})
    with pytest.raises(idmerge.ColumnError, match="column distinct_id is .* an ID is text or an integer"):
        idmerge.resolve(table, engine="original")


@pytest.mark.parametrize(
    ("engine", "event", "missing"),
    [
        ("original", "$identify", "$anon_id"),
        ("original", "$create_alias", "alias"),
        ("original", "$merge", "$distinct_ids"),
        ("legacy", "$create_alias", "alias"),
    ],
)
@pytest.mark.parametrize("is_null", [False, True])
def test_a_claim_that_would_be_lost_is_an_error(engine, event, missing, is_null):
    columns = {"event": ["A", event], "distinct_id": ["u", "u"], "$user_id": ["u", "u"]}
    if is_null:
        # What a library makes of a column in which it saw no value.
        columns[missing] = pa.nulls(2)
    others = {"$identify": ["alias"], "$create_alias": ["$anon_id"], "$merge": ["alias", "$anon_id"]}
    for other in others[event]:
        columns[other] = ["x", "x"]
    with pytest.raises(idmerge.ColumnError) as error:
        idmerge.resolve(pa.table(columns), engine=engine)
    said(error, "row 1: ", f"no column {missing} ", "the claim would be lost", "make the table again")


def test_missing_columns_are_named_with_those_that_are_there():
    with pytest.raises(idmerge.ColumnError) as error:
        idmerge.resolve(EVENTS.rename_columns(["action", "$user_id", "$device_id"]), engine="simplified")
    said(error, "no column event", "There are $user_id, $device_id", "columns={")
    with pytest.raises(idmerge.ColumnError) as error:
        idmerge.resolve(EVENTS.rename_columns(["event", "email", "cookie"]), engine="simplified")
    said(error, "no column distinct_id, $user_id or $device_id", "columns={")
    nulls = pa.table({"event": ["A"], "$user_id": pa.nulls(1)})
    with pytest.raises(idmerge.ColumnError, match="no event would have an ID"):
        idmerge.resolve(nulls, engine="simplified")


def test_a_column_without_which_nobody_can_be_joined_is_a_warning():
    with pytest.warns(UserWarning, match=r"no column \$device_id, so no event can link a device"):
        idmerge.resolve(EVENTS.drop_columns("$device_id"), engine="simplified")
    with pytest.warns(UserWarning, match=r"no column \$anon_id, alias, \$distinct_ids, so no event can join IDs"):
        idmerge.resolve(EVENTS, engine="original")


def test_columns_are_named():
    table = EVENTS.rename_columns(["action", "email", "cookie"])
    names = {"event": "action", "user": "email", "$device_id": "cookie"}
    resolved = idmerge.resolve(table, engine="simplified", columns=names)
    assert resolved.summary.merges == 1
    assert resolved.columns[:4] == ["action", "email", "cookie", "distinct_id"]
    with pytest.raises(idmerge.ColumnError) as error:
        idmerge.resolve(table, engine="simplified", columns={**names, "user": "mail"})
    said(error, "$user_id is the column mail, which is not there", "There are action, email, cookie")
    with pytest.raises(idmerge.ColumnError, match=r"columns names \$user_id twice: email and cookie"):
        idmerge.resolve(table, engine="simplified", columns={**names, "$user_id": "cookie"})
    with pytest.raises(idmerge.ColumnError, match="columns has .mail., which no engine reads"):
        idmerge.resolve(table, engine="simplified", columns={"mail": "email"})


def test_invalid_events_are_kept_or_raise():
    table = pa.table({"event": ["A", None, "C", "D"], "$user_id": ["ben", "ben", "undefined", "D"], "$device_id": ["D1", None, None, None], "price": [1, 2, 3, 4]})
    resolved = idmerge.resolve(table, engine="simplified")
    assert pa.table(resolved)["distinct_id"].to_pylist() == ["ben", None, None, "D"]
    assert pa.table(resolved)["price"].to_pylist() == [1, 2, 3, 4]
    refused = pa.table(resolved.refused).to_pylist()
    assert [(row["row"], row["rule"]) for row in refused] == [(1, "IN-1"), (2, "ID-4")]
    assert (resolved.summary.events, resolved.summary.refused) == (2, 2)
    assert resolved.summary.first_refused.startswith('row 1: "event" must be a string')
    with pytest.raises(idmerge.InvalidEventError) as error:
        idmerge.resolve(table, engine="simplified", on_invalid="raise")
    said(error, "2 of 4 rows", "row 1: ", 'on_invalid="keep"')
    with pytest.raises(ValueError, match='on_invalid is "drop", but it must be "keep" or "raise"'):
        idmerge.resolve(table, engine="simplified", on_invalid="drop")


def test_an_error_leaves_the_engine_as_it_was():
    engine = idmerge.Engine("original")
    good = pa.table({"event": ["$merge"] * 2, "$distinct_ids": [["a", "b"], ["b", "c"]], "distinct_id": ["a", "a"], "alias": ["", ""], "$anon_id": ["", ""]})
    engine.apply(good)
    before = engine.snapshot()
    bad = pa.table({"event": ["$merge", "$identify"], "$distinct_ids": [["a", "z"], None], "distinct_id": ["a", "a"]})
    with pytest.raises(idmerge.ColumnError):
        engine.apply(bad)
    invalid = pa.table({"event": ["$merge", "$merge"], "$distinct_ids": [["a", "z"], ["a"]], "distinct_id": ["a", "a"], "alias": ["", ""], "$anon_id": ["", ""]})
    with pytest.raises(idmerge.InvalidEventError):
        engine.apply(invalid, on_invalid="raise")
    assert engine.snapshot() == before
    assert engine.apply(invalid).refused == 1
    assert engine.snapshot() != before


def test_the_name_of_the_engine_and_its_settings_are_checked():
    with pytest.raises(idmerge.IdmergeError, match='engine is "Simplified", but it must be one of: simplified, original, legacy'):
        idmerge.resolve(EVENTS, engine="Simplified")
    with pytest.raises(TypeError, match="engine"):
        idmerge.resolve(EVENTS)
    with pytest.raises(idmerge.IdmergeError, match="max_cluster_ids is a setting of engine original"):
        idmerge.Engine("simplified", max_cluster_ids=3)
    with pytest.raises(TypeError, match="speed is no setting; there are max_cluster_ids, "):
        idmerge.Engine("simplified", speed=3)
    with pytest.raises(TypeError, match="max_id_bytes must be an integer from 1 to 65535, not str"):
        idmerge.resolve(EVENTS, engine="original", settings={"max_id_bytes": "many"})
    with pytest.raises(idmerge.IdmergeError, match="anon_id_format: "):
        idmerge.Engine("original", anon_id_format="x")
    with pytest.raises(idmerge.IdmergeError, match=r"leave out the prefix \$device:"):
        idmerge.Engine("original", blocked_ids=["$device:test"])
    engine = idmerge.Engine("simplified", blocked_ids=["test"])
    assert engine.resolve("undefined") == "undefined"
    with pytest.raises(idmerge.InvalidEventError, match="ID-4"):
        engine.resolve("TEST")


def test_a_snapshot_of_another_engine_says_which():
    engine = idmerge.Engine("simplified")
    engine.apply(EVENTS)
    snapshot = engine.snapshot()
    with pytest.raises(idmerge.SnapshotError) as error:
        idmerge.Engine.from_snapshot(snapshot, "original")
    said(error, "simplified", 'Engine.from_snapshot(snapshot, "simplified")')
    for damaged in (b"", b"no snapshot", snapshot[:-1], snapshot[:-1] + b"x", snapshot + b"x"):
        with pytest.raises(idmerge.SnapshotError):
            idmerge.Engine.from_snapshot(damaged, "simplified")
    assert idmerge.Engine.from_snapshot(snapshot, "simplified").snapshot() == snapshot


def test_what_is_no_table_says_what_is():
    for other in (1, None, [{"event": "A"}], {"event": ["A"]}):
        with pytest.raises(TypeError, match="is no table: give a table .* of DuckDB, Polars, pandas"):
            idmerge.resolve(other, engine="simplified")
    with pytest.raises(Exception, match="stream"):
        idmerge.resolve(pl.Series(["a"]), engine="simplified")


def test_bytes_that_are_no_text_refuse_their_row_alone():
    ids = pa.array([b"ben", b"\xff", b"ben"], pa.binary())
    table = pa.table({"event": ["A", "B", "C"], "$user_id": ids, "$device_id": ["D", "D", "D"]})
    resolved = idmerge.resolve(table, engine="simplified")
    assert pa.table(resolved)["distinct_id"].to_pylist() == ["ben", None, "ben"]
    assert pa.table(resolved.refused)["rule"].to_pylist() == ["IN-1"]


def test_no_rows_are_a_table_too():
    resolved = idmerge.resolve(EVENTS.slice(0, 0), engine="simplified")
    assert len(resolved) == 0 and len(pa.table(resolved)) == 0
    assert (resolved.summary.events, resolved.summary.users_after) == (0, 0)
    assert len(resolved.engine.mapping()) == 0
