"""A store as an object: the command says what is right, on the same folder, and so does an engine with all events."""

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time

import idmerge
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import as_line, as_pyarrow, odd_rows

# Some tables have only the columns that matter here.
pytestmark = pytest.mark.filterwarnings("ignore:there is no column:UserWarning")


def asked(command, *arguments):
    """The lines of JSON that the command writes."""
    done = subprocess.run([command, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def by_command(command, folder, engine, rows):
    lines = "".join(as_line(row) + "\n" for row in rows)
    arguments = [command, "ingest", str(folder), "--engine", engine, "--summary", "json"]
    done = subprocess.run(arguments, input=lines, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stderr)


def taken(folder, engine, rows):
    with idmerge.Store(folder, engine=engine) as store:
        return store.ingest(as_pyarrow(rows))


def test_a_store_of_python_is_a_store_of_the_command(command, engine, tmp_path):
    rows = odd_rows()
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    figures = taken(ours, engine, rows)
    wanted = by_command(command, theirs, engine, rows)
    for name in ("events", "events_repeated", "new_entries", "merges", "rejections", "refused"):
        assert figures[name] == wanted[name], name
    assert figures["merges"] > 5 and figures["new_entries"] > 10
    assert asked(command, "store", "compare", ours, theirs)[0]["same"]
    logs = [asked(command, "store", "log", folder) for folder in (ours, theirs)]
    assert {entry.pop("source") for entry in logs[0]} == {"python"}
    for entry in logs[1]:
        entry.pop("source")
    assert logs[0] == logs[1]
    # Neither is the one that wrote it.
    for folder in (ours, theirs):
        with idmerge.Store(folder) as store:
            assert store.engine == engine and store.last == wanted["new_entries"]
            digest = store.digest()
        assert asked(command, "store", "digest", folder) == [{"as_of": wanted["new_entries"], "digest": digest}]


def test_the_state_is_that_of_all_events(engine, tmp_path):
    rows = odd_rows()
    whole = idmerge.Engine(engine)
    whole.apply(as_pyarrow(rows))
    schema = as_pyarrow(rows).schema
    for start in range(0, len(rows), 7):
        day = [dict(row, **{"$insert_id": f"row {start}"}) for row in rows[start : start + 7]]
        with idmerge.Store(tmp_path, engine=engine) as store:
            store.ingest(pa.Table.from_pylist(day, schema=schema), source="day")
    mapping = pa.table(whole.mapping())
    ids = mapping["distinct_id"].to_pylist()
    with idmerge.Store(tmp_path, read_only=True) as store:
        assert pa.table(store.mapping()) == mapping
        assert store.resolve(ids) == whole.resolve(ids) == mapping["resolved_distinct_id"].to_pylist()
        assert store.resolve(ids[0]) == whole.resolve(ids[0]) and store.resolve(None) is None
        assert pa.table(store.resolve(pl.Series(ids))) == pa.table(whole.resolve(pl.Series(ids)))
        assert store.cluster(ids[0]) == whole.cluster(ids[0]) and store.cluster("nobody") is None
        assert store.as_of(store.last, ids) == store.resolve(ids)
        assert store.as_of(0, ids) == ids


def test_questions_get_the_answers_of_the_command(command, engine, tmp_path):
    taken(tmp_path, engine, odd_rows())
    with idmerge.Store(tmp_path) as store:
        mapping = pa.table(store.mapping()).to_pylist()
        pair = mapping[0]["distinct_id"], mapping[0]["resolved_distinct_id"]
        apart = mapping[0]["distinct_id"], mapping[-1]["distinct_id"]
        explained = [store.explain(*pair), store.explain(*apart), store.explain(pair[0])]
        half = store.last // 2
        changes = pa.table(store.changes()).to_pylist()
        later = pa.table(store.changes(half, limit=1)).to_pylist()
        simulated = store.simulate("original", max_cluster_ids=2, as_of=half)
        earlier = store.as_of(half, [pair[0]]), store.digest(as_of=half)
        for change in changes[:9]:
            at, id = change["sequence"], change["id"]
            assert store.as_of(at - 1, id) == change["from"] != change["to"] == store.as_of(at, id)
    for found, ids in zip(explained, (pair, apart, pair[:1])):
        head, *claims = asked(command, "store", "explain", tmp_path, *ids)
        assert found.pop("claims") == claims and found == head
    assert explained[0]["one_person"] and not explained[1]["one_person"]
    given = [{name: value for name, value in change.items() if value is not None} for change in changes]
    assert given == asked(command, "store", "changes", tmp_path)
    assert [row["id"] for row in later] == [
        row["id"] for row in asked(command, "store", "changes", tmp_path, "--since", half, "--limit", 1)
    ]
    assert [simulated] == asked(
        command, "store", "simulate", tmp_path, "--engine", "original", "--max-cluster-ids", 2, "--as-of", half
    )
    assert earlier[0] == [row["distinct_id"] for row in asked(command, "store", "as-of", tmp_path, half, pair[0])]
    assert earlier[1] == asked(command, "store", "digest", tmp_path, "--as-of", half)[0]["digest"]


def test_a_claim_is_withdrawn_and_brought_back(command, engine, tmp_path):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for folder in (ours, theirs):
        taken(folder, engine, odd_rows())
    with idmerge.Store(ours) as store:
        before = store.digest()
        sequence = next(row["sequence"] for row in pa.table(store.changes()).to_pylist())
        retracted = store.retract(sequence, who="ben", why="shared")
        assert retracted["is_new"] and retracted["claims"] == 1
        changes = pa.table(retracted["changes"]).to_pylist()
        withdrawn = store.digest()
        again = store.retract(sequence, who="ben", why="shared")
        assert not again["is_new"] and again["sequence"] == retracted["sequence"]
    arguments = ["store", "retract", theirs, sequence, "--who", "ben", "--why", "shared"]
    theirs_changes = asked(command, *arguments)
    assert [(row["id"], row["to"]) for row in changes] == [(row["id"], row["to"]) for row in theirs_changes]
    assert asked(command, "store", "digest", theirs)[0]["digest"] == withdrawn
    with idmerge.Store(ours) as store:
        store.retract(retracted["sequence"], who="ben", why="it was hers")
        assert store.digest() == before != withdrawn
        with pytest.raises(idmerge.StoreError, match="entry 9999"):
            store.retract(9999, who="ben", why="?")
        with pytest.raises(idmerge.StoreError, match="no claim that the engine of this store weighs names nobody"):
            store.retract(detach="nobody", who="ben", why="?")
        with pytest.raises(TypeError, match="give the number of an entry, or detach an ID"):
            store.retract(who="ben", why="?")
        # A refusal changes nothing, and the store goes on.
        assert store.digest() == before
        detached = store.retract(detach=changes[0]["id"], who="ben", why="shared")
        assert detached["claims"] >= 1


def test_what_was_taken_before_is_passed_over(command, tmp_path):
    rows = [{"event": "Log In", "$device_id": f"D{n}", "$user_id": f"U{n % 7}"} for n in range(2000)]
    table = as_pyarrow(rows)
    with idmerge.Store(tmp_path, engine="simplified") as store:
        assert store.ingest(table.slice(0, 500))["events"] == 500
        # It has grown since (AR-3).
        grown = store.ingest(table)
        assert (grown["events_taken_before"], grown["events"]) == (500, 1500)
        same = store.ingest(table)
        assert (same["events_taken_before"], same["events"], same["new_entries"]) == (2000, 0, 0)
        anew = store.ingest(table, again=True)
        assert (anew["events_taken_before"], anew["events"], anew["new_entries"]) == (0, 2000, 0)
    # The command knows the table, too, in a file of the library's own.
    pq.write_table(table, tmp_path / "events.parquet")
    lines = "".join(as_line(row) + "\n" for row in rows).replace('": ', '":').replace(', "', ',"')
    done = subprocess.run(
        [command, "ingest", str(tmp_path), "--summary", "json"], input=lines, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stderr)["events_taken_before"] == 2000
    # AR-2
    events = [dict(row, **{"$insert_id": f"i{n}", "time": 1_700_000_000 + n}) for n, row in enumerate(rows[:9])]
    events = [{"event": "$identify", "distinct_id": f"U{n}", "$anon_id": f"D{n}", **row} for n, row in enumerate(events)]
    events = [{name: value for name, value in row.items() if name != "event"} | {"event": "$identify"} for row in events]
    with idmerge.Store(tmp_path / "original", engine="original", anon_id_format="sdk") as store:
        assert store.ingest(as_pyarrow(events))["events_repeated"] == 0
        assert store.ingest(as_pyarrow(events[::-1]))["events_repeated"] == 9


def test_a_store_keeps_its_engine(tmp_path):
    folder = tmp_path / "people"
    with pytest.raises(idmerge.StoreError, match="there is no store in .*people; engine="):
        idmerge.Store(folder)
    with pytest.raises(TypeError, match="name it with engine="):
        idmerge.Store(folder, max_id_bytes=9)
    idmerge.Store(folder, engine="original", max_cluster_ids=9).close()
    with pytest.raises(idmerge.StoreError, match="max_cluster_ids is 9, not 500"):
        idmerge.Store(folder, engine="original")
    with pytest.raises(idmerge.StoreError, match="which cannot change"):
        idmerge.Store(folder, engine="simplified")
    with idmerge.Store(folder) as store:
        assert store.engine == "original" and store.path == folder
        assert repr(store) == f"<idmerge.Store {folder}: original>"
    (tmp_path / "file").write_text("x")
    with pytest.raises(idmerge.StoreError, match="is a file, and a store is a folder"):
        idmerge.Store(tmp_path / "file")


def test_one_process_writes(command, tmp_path):
    with idmerge.Store(tmp_path, engine="simplified") as store:
        with pytest.raises(idmerge.StoreError, match="the store is in use: another process has it open for writing"):
            idmerge.Store(tmp_path)
        done = subprocess.run([command, "ingest", str(tmp_path)], input="", capture_output=True, text=True)
        assert done.returncode == 1 and "in use" in done.stderr
        # Readers need not wait.
        store.ingest(pa.table({"event": ["A"], "$user_id": ["U1"], "$device_id": ["D1"]}))
        with idmerge.Store(tmp_path, read_only=True) as reader:
            assert reader.resolve("$device:D1") == "U1"
            with pytest.raises(idmerge.StoreError, match="read_only=True"):
                reader.ingest(pa.table({"event": ["A"], "$user_id": ["U1"], "$device_id": ["D1"]}))
        assert asked(command, "store", "info", tmp_path)[0]["entries"] == 1
    with idmerge.Store(tmp_path) as store:
        assert store.last == 1


def test_a_closed_store_says_so(tmp_path):
    store = idmerge.Store(tmp_path, engine="simplified")
    with pytest.raises(TypeError, match="a Store cannot be pickled.*read_only=True"):
        pickle.dumps(store)
    store.close()
    store.close()
    assert repr(store).endswith("simplified, closed>")
    events = pa.table({"event": ["A"], "$user_id": ["U1"], "$device_id": ["D1"]})
    for use in (store.digest, store.mapping, lambda: store.resolve("a"), lambda: store.ingest(events)):
        with pytest.raises(idmerge.StoreError, match="the store is closed"):
            use()
    with pytest.raises(RuntimeError, match="mine"), idmerge.Store(tmp_path) as store:
        raise RuntimeError("mine")
    assert repr(store).endswith("closed>")


def test_bad_events_leave_the_store_as_it_was(tmp_path):
    with idmerge.Store(tmp_path, engine="original") as store:
        digest = store.digest()
        lost = pa.table({"event": ["A", "$identify"], "distinct_id": ["U1", "U1"], "alias": ["a", None]})
        with pytest.raises(idmerge.ColumnError, match="row 1: .*anon_id"):
            store.ingest(lost)
        invalid = pa.table({"event": ["A", "A"], "distinct_id": ["U1", "null"], "alias": ["a", None]})
        with pytest.raises(idmerge.InvalidEventError, match="row 1"):
            store.ingest(invalid, on_invalid="raise")
        with pytest.raises(FileNotFoundError, match="No such file"):
            store.ingest("events.parquet")
        assert (store.last, store.digest()) == (0, digest)
        figures = store.ingest(invalid)
        assert (figures["events"], figures["refused"]) == (1, 1) and figures["first_refused"].startswith("row 1: ")


KILLED = """
import sys, idmerge, pyarrow as pa
store = idmerge.Store(sys.argv[1], engine="simplified")
for day in range(1000):
    ids = [f"{day}-{n}" for n in range(400)]
    events = pa.table({"event": ["A"] * 400, "$device_id": ids, "$user_id": [f"u{n % 7}" for n in range(400)]})
    store.ingest(events, source=f"day {day}")
    print(day, flush=True)
"""


def test_a_kill_loses_nothing_that_was_acknowledged(tmp_path):
    for kill_after in (0, 3, 11):
        folder = tmp_path / str(kill_after)
        with subprocess.Popen([sys.executable, "-c", KILLED, folder], stdout=subprocess.PIPE, text=True) as process:
            acknowledged = [int(process.stdout.readline()) for _ in range(kill_after + 1)][-1]
            os.kill(process.pid, signal.SIGKILL)
            acknowledged = max([acknowledged, *map(int, process.stdout.read().split())])
        assert process.returncode == -signal.SIGKILL
        # A reader recovers it, as the command does.
        with idmerge.Store(folder, read_only=True) as store:
            entries = store.last
        # A table of 400 claims has one commit.
        assert entries in ((acknowledged + 1) * 400, (acknowledged + 2) * 400)
        whole = idmerge.Engine("simplified")
        days = entries // 400
        ids = [f"{day}-{n}" for day in range(days) for n in range(400)]
        users = [f"u{n % 7}" for day in range(days) for n in range(400)]
        whole.apply(pa.table({"event": ["A"] * entries, "$device_id": ids, "$user_id": users}))
        with idmerge.Store(folder) as store:
            assert pa.table(store.mapping()) == pa.table(whole.mapping())


LONG = """
import sys, idmerge, pyarrow as pa
count = 3_000_000
events = pa.table({"event": ["A"] * count, "$device_id": [f"d{n}" for n in range(count)], "$user_id": [f"u{n % 9}" for n in range(count)]})
store = idmerge.Store(sys.argv[1], engine="simplified")
print("ready", flush=True)
try:
    store.ingest(events)
except KeyboardInterrupt:
    print(store.last, flush=True)
"""


def test_an_interrupted_ingest_keeps_what_it_has_weighed_and_goes_on(tmp_path):
    with subprocess.Popen([sys.executable, "-c", LONG, tmp_path], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        # Not before the first commit, so that there is something to go on from.
        file = tmp_path / "store.redb"
        before = file.stat().st_size
        while file.stat().st_size == before and process.poll() is None:
            time.sleep(0.001)
        process.send_signal(signal.SIGINT)
        kept = int(process.stdout.read())
    assert process.returncode == 0 and 0 < kept < 3_000_000
    with idmerge.Store(tmp_path) as store:
        assert store.last == kept
        ids = [f"d{n}" for n in range(kept + 10)]
        rest = store.ingest(
            pa.table({"event": ["A"] * len(ids), "$device_id": ids, "$user_id": [f"u{n % 9}" for n in range(len(ids))]})
        )
        assert rest["events_taken_before"] == kept and rest["events"] == 10


def test_threads_share_a_store(tmp_path):
    with idmerge.Store(tmp_path, engine="simplified") as store:
        tables = [
            pa.table({"event": ["A"] * 50, "$user_id": [f"u{t}"] * 50, "$device_id": [f"d{t}-{n}" for n in range(50)]})
            for t in range(6)
        ]
        threads = [threading.Thread(target=store.ingest, args=(table,)) for table in tables]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            assert store.resolve("$device:d0-0") in ("u0", "$device:d0-0")
        for thread in threads:
            thread.join()
        assert store.last == 300
        assert all(store.resolve(f"$device:d{t}-49") == f"u{t}" for t in range(6))
