"""The engine as an object, and what it does day by day."""

import threading
import time

import idmerge
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from conftest import as_pyarrow, odd_rows

# Some tables have only the columns that matter here.
pytestmark = pytest.mark.filterwarnings("ignore:there is no column:UserWarning")


def test_day_by_day_is_all_at_once(engine):
    rows = odd_rows()
    whole = idmerge.Engine(engine)
    whole.apply(as_pyarrow(rows))
    days = idmerge.Engine(engine)
    for start in range(0, len(rows), 7):
        day = pa.Table.from_pylist(rows[start : start + 7], schema=as_pyarrow(rows).schema)
        days.apply(day)
        days = idmerge.Engine.from_snapshot(days.snapshot(), engine)
    assert days.snapshot() == whole.snapshot()
    assert pa.table(days.mapping()) == pa.table(whole.mapping())
    assert len(days) == len(whole) > 5
    assert idmerge.resolve(as_pyarrow(rows), engine=engine).engine.snapshot() == whole.snapshot()


def test_ids_alone_in_lists_and_in_columns(engine):
    state = idmerge.Engine(engine)
    state.apply(as_pyarrow(odd_rows()))
    mapping = pa.table(state.mapping())
    ids, canonical = mapping["distinct_id"].to_pylist(), mapping["resolved_distinct_id"].to_pylist()
    assert [state.resolve(one) for one in ids] == canonical
    assert state.resolve(ids + [None]) == canonical + [None]
    with_gap = ids[:3] + [None] + ids[3:]
    wanted = canonical[:3] + [None] + canonical[3:]
    columns = [pl.Series(with_gap), pa.chunked_array([with_gap[:2], with_gap[2:]])]
    # A Series of pandas 2 gives no Arrow stream; there is no newer pandas for Python 3.10.
    if hasattr(pd.Series, "__arrow_c_stream__"):
        columns.append(pd.Series(with_gap, dtype=pd.ArrowDtype(pa.string())))
    for column in columns:
        table = pa.table(state.resolve(column))
        assert table.column_names == ["distinct_id", "resolved_distinct_id"]
        assert table["distinct_id"].to_pylist() == with_gap
        assert table["resolved_distinct_id"].to_pylist() == wanted
    assert state.resolve(7) == "7"
    assert state.resolve("nobody") == "nobody"
    assert state.resolve([]) == []
    for wrong in (1.5, True, b"x", object()):
        with pytest.raises(TypeError):
            state.resolve(wrong)
    for wrong in ("", "null", "x" * 256):
        with pytest.raises(idmerge.InvalidEventError):
            state.resolve([wrong])
    with pytest.raises(idmerge.ColumnError, match="the column is Int64"):
        state.resolve(pl.Series([1]))


def test_clusters_and_the_mapping_agree(engine):
    state = idmerge.Engine(engine)
    state.apply(as_pyarrow(odd_rows()))
    clusters = pa.table(state.clusters()).to_pylist()
    mapping = {row["distinct_id"]: row["resolved_distinct_id"] for row in pa.table(state.mapping()).to_pylist()}
    from_clusters = {m: c["canonical"] for c in clusters for m in c["members"] if m != c["canonical"]}
    assert mapping == from_clusters
    for cluster in clusters:
        assert state.cluster(cluster["members"][-1]) == cluster["members"]
    assert state.cluster("nobody") is None


def test_own_ids_and_a_mapping_give_what_resolve_gives(library):
    rows = odd_rows()
    for engine in ("simplified", "original"):
        own = pa.table(idmerge.own_ids(library(rows), engine=engine))["distinct_id"].to_pylist()
        mapping = pa.table(idmerge.mapping(library(rows), engine=engine)).to_pylist()
        mapping = {row["distinct_id"]: row["resolved_distinct_id"] for row in mapping}
        resolved = pa.table(idmerge.resolve(library(rows), engine=engine))["distinct_id"].to_pylist()
        assert [mapping.get(id, id) for id in own] == resolved


def test_claims_are_the_rows_that_can_join_ids():
    rows = [dict(row, seq=n) for n, row in enumerate(odd_rows())]
    claims = pa.table(idmerge.claims(as_pyarrow(rows), engine="simplified", keep=["seq", "event"]))
    assert claims.column_names == ["kind", "first", "second", "fingerprint", "seq", "event"]
    links = [n for n, row in enumerate(rows) if row["event"] == "Log In"]
    assert claims["seq"].to_pylist() == links
    assert claims["first"][0].as_py() == "D1" and claims["second"][0].as_py() == "U1"
    claims = pa.table(idmerge.claims(as_pyarrow(rows), engine="original", keep=["seq"]))
    assert set(claims["kind"].to_pylist()) == {"alias", "identify", "merge"}
    assert [rows[n]["event"] for n in claims["seq"].to_pylist()][-1] == "$merge"
    with pytest.raises(idmerge.ColumnError, match="keep names the column time, which is not there"):
        idmerge.claims(as_pyarrow(rows), engine="original", keep=["time"])


def test_a_large_table_is_resolved_in_batches():
    count = 200_000
    events = pl.DataFrame({"event": ["View"] * count, "n": range(count)}).with_columns(
        (pl.col("n") % 5000 + 1).cast(pl.String).alias("$device_id"),
        pl.when(pl.col("n") % 3 == 0).then(pl.format("u{}", pl.col("n") % 5000 + 1)).alias("$user_id"),
    )
    resolved = idmerge.resolve(events, engine="simplified")
    assert resolved.summary.users_before == 10_000 and resolved.summary.users_after == 5000
    frame = pl.DataFrame(resolved)
    assert frame["n"].to_list() == list(range(count))
    assert frame.select((pl.col("distinct_id") == "u" + pl.col("$device_id")).all()).item()


def test_other_threads_run_while_an_engine_works():
    count = 500_000
    events = pa.table({"event": ["A"] * count, "$user_id": [f"u{n}" for n in range(count)], "$device_id": [f"d{n}" for n in range(count)]})
    done = threading.Event()
    ran = []

    def other():
        while not done.is_set():
            ran.append(time.perf_counter())

    thread = threading.Thread(target=other)
    thread.start()
    start = time.perf_counter()
    idmerge.resolve(events, engine="simplified")
    end = time.perf_counter()
    done.set()
    thread.join()
    # A call that holds the GIL stops the other thread for as long as the call takes.
    during = [start, *(moment for moment in ran if start < moment < end), end]
    longest = max(after - before for before, after in zip(during, during[1:]))
    assert longest < (end - start) / 3, (longest, end - start)


def test_threads_share_an_engine():
    state = idmerge.Engine("simplified")
    tables = [pa.table({"event": ["A"] * 500, "$user_id": [f"u{t}"] * 500, "$device_id": [f"d{t}-{n}" for n in range(500)]}) for t in range(8)]
    threads = [threading.Thread(target=state.apply, args=(table,)) for table in tables]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(state) == 8 * 501
    assert all(state.resolve(f"$device:d{t}-499") == f"u{t}" for t in range(8))


def test_classes_have_the_name_of_the_package():
    for name in idmerge.__all__:
        value = getattr(idmerge, name)
        if isinstance(value, type):
            assert value.__module__ == "idmerge", name
    engine = idmerge.Engine("legacy")
    assert repr(engine) == "<idmerge.Engine legacy: 0 IDs in clusters>"
    assert engine.name == "legacy" and bool(engine)
