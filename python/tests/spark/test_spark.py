"""The answers of `idmerge.spark` are those of the command for the same events: on two executors of Spark, or on the
server that SPARK_REMOTE names, through Spark Connect."""

import json
import os
import random
import sys
import uuid

import idmerge
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import COLUMNS, as_pyarrow, odd_rows, run

pytest.importorskip("pyspark", reason="`cargo xtask e2e spark` installs it")
os.environ["PYSPARK_PYTHON"] = sys.executable

pytestmark = [
    pytest.mark.filterwarnings("ignore:there is no column:UserWarning"),
    # pyspark itself, about pandas and about the sockets and processes that it leaves to Java.
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::ResourceWarning"),
]

ENGINES = ["simplified", "original", "legacy"]
REMOTE = os.environ.get("SPARK_REMOTE")


@pytest.fixture(scope="session")
def spark():
    from pyspark.sql import SparkSession

    if REMOTE:
        session = SparkSession.builder.remote(REMOTE).getOrCreate()
    else:
        builder = SparkSession.builder.master("local-cluster[2,1,768]")
        settings = {
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.host": "127.0.0.1",
            "spark.ui.enabled": "false",
            "spark.executor.memory": "768m",
            "spark.sql.shuffle.partitions": "2",
            # An error of an event comes again however often the task is tried.
            "spark.task.maxFailures": "1",
        }
        for name, value in settings.items():
            builder = builder.config(name, value)
        session = builder.getOrCreate()
    yield session
    session.stop()


def random_rows(count, seed):
    """Events of few IDs, so that claims of each kind are accepted and rejected, and some come twice."""
    chance = random.Random(seed)
    devices = [str(uuid.UUID(int=chance.getrandbits(128), version=4)) for _ in range(25)]
    users = [f"user-{n}" for n in range(15)]
    rows = []
    for number in range(count):
        device, user, other = chance.choice(devices), chance.choice(users), chance.choice(users + devices)
        row = chance.choice(
            [
                {"event": "View", "$device_id": device},
                {"event": "View", "distinct_id": f"$device:{device}"},
                {"event": "Buy", "$user_id": user},
                {"event": "Log In", "$device_id": device, "$user_id": user},
                {"event": "$identify", "distinct_id": user, "$anon_id": device},
                {"event": "$create_alias", "distinct_id": user, "alias": other},
                {"event": "$merge", "distinct_id": user, "$distinct_ids": [user, other]},
            ]
        )
        rows.append({**row, "$insert_id": f"i{number}", "time": 1_700_000_000 + number // 10})
    again = [rows[chance.randrange(count)] for _ in range(count // 10)]
    for row in again:
        rows.insert(chance.randrange(count), row)
    return [{name: row.get(name) for name in COLUMNS} for row in rows]


ROWS = [dict(row, time=None) for row in odd_rows()] + random_rows(600, 7)


@pytest.fixture(scope="session")
def table():
    events = as_pyarrow([{name: row.get(name) for name in COLUMNS} for row in ROWS])
    return events.append_column("seq", pa.array(range(len(ROWS)), pa.int64()))


@pytest.fixture
def events(spark, table, tmp_path):
    """The events in no order, in several files."""
    return frame(spark, table, tmp_path / "events")


def frame(spark, table, folder, files=3):
    places = list(range(len(table)))
    random.Random(1).shuffle(places)
    folder.mkdir()
    for part in range(files):
        pq.write_table(table.take(places[part::files]), folder / f"{part}.parquet")
    return spark.read.parquet(str(folder))


ANSWER = [
    "distinct_id",
    "$distinct_id_before_identity",
    "$is_reshuffled",
    "$identity_failure_reason",
    "$failure_reason",
    "$failure_description",
]


def of_command(command, engine, rows):
    """The answers of the command by the number of the row, and its mapping."""
    out, _ = run(command, "resolve", "--engine", engine, rows=[dict(row, seq=n) for n, row in enumerate(rows)])
    answers = {}
    for line in out.split("\n")[:-1]:
        properties = json.loads(line)["properties"]
        answer = {name: properties.get(name) for name in ANSWER}
        # W-7: in JSON the event without an ID has an empty one; in a column it has none.
        answer["distinct_id"] = answer["distinct_id"] or None
        answers[properties["seq"]] = answer
    mapping = run(command, "mappings", "--engine", engine, "-q", rows=rows)[0].split("\n")[:-1]
    return answers, sorted(tuple(json.loads(line).values()) for line in mapping)


def mapping_rows(mapping):
    return sorted(tuple(row) for row in mapping.select("distinct_id", "resolved_distinct_id").collect())


def check(found, wanted, table):
    """The run has the answers and the mapping that the command gave, and the rows are otherwise as they were."""
    answers, mapping = wanted
    assert mapping_rows(found.mapping) == mapping and len(mapping) > 20
    rows = found.events.toArrow().sort_by("seq")
    assert len(rows) == len(table)
    kept = [name for name in table.column_names if name not in ANSWER]
    assert rows.select(kept).to_pylist() == table.select(kept).to_pylist()
    nothing = dict.fromkeys(ANSWER)
    for row in rows.select([*ANSWER, "seq"]).to_pylist():
        assert {name: row[name] for name in ANSWER} == answers.get(row["seq"], nothing), row


@pytest.fixture(scope="session")
def wanted(command):
    return {engine: of_command(command, engine, ROWS) for engine in ENGINES}


@pytest.mark.parametrize("engine", ENGINES)
def test_the_answers_are_those_of_the_command(spark, events, table, wanted, engine):
    import idmerge.spark

    found = idmerge.spark.resolve(events, engine=engine, order="seq")
    check(found, wanted[engine], table)
    whole = idmerge.resolve(table, engine=engine)
    assert found.snapshot == whole.engine.snapshot()
    figures = whole.summary.as_dict()
    for name in ("events", "events_without_id", "merges", "refused"):
        assert found.summary[name] == figures[name], name
    if engine != "simplified":
        # In Simplified repeats are dropped.
        assert found.summary["rejections_by_code"] == figures["rejections_by_code"]
    assert set(found.summary["rejections_by_code"]) == set(figures["rejections_by_code"])
    assert "(rows are counted from the one with seq=" in found.summary["first_refused"]
    assert found.metrics["rows"] == len(table) and 0 < found.metrics["claims_folded"] <= found.metrics["claims"]
    found.unpersist()


@pytest.mark.parametrize("engine", ["simplified", "original"])
def test_a_join_with_the_mapping_gives_the_same(events, table, wanted, engine, tmp_path):
    import idmerge.spark

    found = idmerge.spark.resolve(events, engine=engine, order="seq", attach="join", work=str(tmp_path / "work"))
    assert found.metrics["attach"] == "join"
    check(found, wanted[engine], table)


# The rounds of Legacy are those of Original; Sail is quick enough for both.
@pytest.mark.parametrize("engine", ENGINES if REMOTE else ENGINES[:2])
def test_components_in_buckets_are_a_single_fold(events, table, wanted, engine, tmp_path):
    import idmerge.spark

    options = dict(engine=engine, order="seq", buckets=3, work=str(tmp_path / "work"))
    if engine == "legacy":
        with pytest.raises(idmerge.IdmergeError, match="Legacy .* buckets cannot be used"):
            idmerge.spark.resolve(events, **options)
        assert mapping_rows(idmerge.spark.mapping(events, **options).mapping) == wanted[engine][1]
        return
    found = idmerge.spark.resolve(events, **options)
    check(found, wanted[engine], table)
    with pytest.raises(idmerge.SnapshotError, match="run.mapping"):
        found.snapshot


@pytest.mark.parametrize("engine", ENGINES)
def test_days_that_go_on_from_snapshots_are_the_whole(spark, table, wanted, engine, tmp_path):
    import idmerge.spark

    snapshot, days = None, [table.slice(0, 300), table.slice(300)]
    state = idmerge.Engine(engine)
    for number, day in enumerate(days):
        found = idmerge.spark.mapping(frame(spark, day, tmp_path / f"day-{number}", 2), engine=engine, order="seq", snapshot=snapshot)
        snapshot = found.snapshot
        # A snapshot does not say which events were weighed, so only duplicates of one day are known (AR-2).
        state = idmerge.Engine.from_snapshot(state.snapshot(), engine)
        state.apply(day)
        assert snapshot == state.snapshot()
    if engine == "simplified":
        assert mapping_rows(found.mapping) == wanted[engine][1]
    other = {"simplified": "original", "original": "legacy", "legacy": "simplified"}[engine]
    with pytest.raises(idmerge.SnapshotError, match="from_snapshot"):
        idmerge.spark.mapping(frame(spark, days[0], tmp_path / "other"), engine=other, order="seq", snapshot=snapshot)


def test_columns_settings_and_an_order_of_two_columns(spark, command, table, tmp_path):
    import idmerge.spark

    wide = 2**53 + 1
    rows = [{"event": "A", "$user_id": wide + n % 2, "$device_id": f"D{n}", "seq": n} for n in range(6)]
    rows += [{"event": "B", "$user_id": None, "$device_id": f"D{n}", "seq": n} for n in range(6)]
    events = as_pyarrow(rows).rename_columns(["action", "email", "cookie", "row"])
    events = events.append_column("file", pa.array(["a"] * 6 + ["b"] * 6)).append_column("tags", pa.array([["x", None]] * 12))
    given = frame(spark, events, tmp_path / "events", 1)
    names = {"event": "action", "$user_id": "email", "device": "cookie"}
    options = dict(engine="simplified", order=["file", "row"], columns=names, settings={"max_id_bytes": 20})
    found = idmerge.spark.resolve(given, **options).events.toArrow().sort_by([("file", "ascending"), ("row", "ascending")])
    wanted = pa.table(idmerge.resolve(events, engine="simplified", columns=names))
    assert found.column_names == wanted.column_names and found.to_pylist() == wanted.to_pylist()
    assert found["distinct_id"].to_pylist()[:2] == [str(wide), str(wide + 1)] == found["distinct_id"].to_pylist()[6:8]


def test_the_place_in_parquet_files_is_an_order(spark, table, wanted, tmp_path):
    import idmerge.spark

    if REMOTE:
        pytest.skip("Sail has no column _metadata")
    for part, start in enumerate(range(0, len(table), 200)):
        pq.write_table(table.slice(start, 200), tmp_path / f"{part:03}.parquet", row_group_size=50)
    events = spark.read.parquet(str(tmp_path)).select("*", "_metadata.file_path", "_metadata.row_index")
    found = idmerge.spark.mapping(events, engine="original", order=["file_path", "row_index"])
    assert mapping_rows(found.mapping) == wanted["original"][1]


def test_a_source_without_an_order_is_refused(spark, events):
    import idmerge.spark

    with pytest.raises(idmerge.ColumnError, match=r"order is missing.*AR-1.*row_index.*JSON and CSV have no such column"):
        idmerge.spark.resolve(events, engine="original")
    with pytest.raises(idmerge.ColumnError, match="order names the column offset, which is not there. There are event,"):
        idmerge.spark.resolve(events, engine="original", order="offset")
    with pytest.raises(idmerge.ColumnError, match="the column seq is double, but an order is of .*: cast it"):
        idmerge.spark.resolve(events.withColumn("seq", events["seq"].cast("double")), engine="original", order="seq")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("seq div 2", r"the column seq does not rise: row \d+ has (\d+) after \1; which of them came first .* add a column"),
        ("if(seq = 7, null, seq)", r"the column seq is null in an event with a claim"),
    ],
)
def test_an_order_that_does_not_rise_is_an_error(spark, events, change, message):
    import idmerge.spark
    from pyspark.sql import functions as F

    changed = events.withColumn("seq", F.expr(change))
    with pytest.raises(idmerge.ColumnError, match=message):
        idmerge.spark.mapping(changed, engine="original", order="seq")


def test_an_error_of_an_executor_names_the_column_and_the_remedy(spark, events):
    import idmerge.spark
    from pyspark.sql import functions as F

    floats = events.withColumn("$user_id", F.lit(1.5))
    with pytest.raises(idmerge.ColumnError, match=r"\$user_id.*(?s:.)*Int64"):
        idmerge.spark.resolve(floats, engine="simplified", order="seq")
    with pytest.raises(idmerge.ColumnError, match=r"\$anon_id.*\(rows are counted from the one with seq="):
        lost = events.drop("$anon_id", "$anon_distinct_id")
        idmerge.spark.resolve(lost, engine="original", order="seq")
    with pytest.raises(idmerge.ColumnError, match="event"):
        idmerge.spark.resolve(events.drop("event"), engine="original", order="seq")
    with pytest.raises(idmerge.InvalidEventError, match="on_invalid=\"keep\""):
        idmerge.spark.resolve(events, engine="original", order="seq", on_invalid="raise")
    with pytest.raises(idmerge.ColumnError, match="the column idmerge_own has a name that idmerge.spark uses: rename it"):
        idmerge.spark.resolve(events.withColumn("idmerge_own", F.lit(1)), engine="original", order="seq")


@pytest.mark.parametrize("engine", ENGINES if REMOTE else ENGINES[1:2])
def test_no_events_give_no_ids(spark, events, engine):
    import idmerge.spark

    for attach in ("broadcast", "join"):
        found = idmerge.spark.resolve(events.limit(0), engine=engine, order="seq", attach=attach)
        assert found.snapshot == idmerge.Engine(engine).snapshot()
        assert found.events.count() == 0 and found.mapping.count() == 0
