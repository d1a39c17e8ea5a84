"""Funnels, unique users, retention and lint have the figures of the command for the same events."""

import datetime
import json
import subprocess

import duckdb
import idmerge
import polars as pl
import pyarrow as pa
import pytest

pytestmark = pytest.mark.filterwarnings("ignore:there is no column:UserWarning")

PROPERTIES = ["$browser", "$device_id", "$user_id", "$anon_distinct_id", "$insert_id", "distinct_id", "time"]


@pytest.fixture(scope="module")
def files(command, tmp_path_factory):
    folder = tmp_path_factory.mktemp("analyses")
    events = folder / "events.ndjson"
    generate = [command, "generate", "--workload", "shared-device", "--events", "3000", "--seed", "5", "-q", "-o", events]
    subprocess.run(generate, check=True)
    with events.open("a") as lines:
        lines.write('{"event":"Page View","properties":{"distinct_id":"late","time":"never"}}\n')
        lines.write('{"event":"Page View","properties":{"time":1780000000}}\n')
    return events


@pytest.fixture(params=["columns", "json"])
def table(request, files):
    """The events of the file, in columns or with JSON."""
    rows = [json.loads(line) for line in files.read_text().splitlines()]
    if request.param == "json":
        return duckdb.read_json(
            str(files), format="newline_delimited", columns={"event": "VARCHAR", "properties": "JSON"}
        ).to_arrow_table()
    columns = {"event": [row["event"] for row in rows]}
    for name in PROPERTIES:
        values = [row["properties"].get(name) for row in rows]
        is_time = name == "time"
        columns[name] = pa.array([value if not is_time or value != "never" else None for value in values])
    return pa.Table.from_batches(pa.table(columns).to_batches(max_chunksize=500))


def asked(command, *arguments):
    done = subprocess.run([command, *map(str, arguments), "--json", "-q"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_funnel_is_that_of_the_command(command, engine, files, table):
    def compare(steps, arguments, **options):
        found = idmerge.funnel(table, steps, engine=engine, **options)
        assert found == asked(command, "funnel", files, "--engine", engine, *arguments, "--steps", *steps)
        return found

    found = compare(["Page View", "Log In", "Checkout"], [])
    first, *_, last = found["steps"]
    assert first["users"] > last["users"] > 0
    assert found["events_without_time"] == found["events_without_id"] == 1
    if engine != "legacy":
        assert first["users"] < first["users_without_merge"]
    compare(["Page View", "Log In"], ["--window", "1m"], window=datetime.timedelta(minutes=1))
    compare(["Log In", "Page View"], ["--grace", "3s"], grace=datetime.timedelta(seconds=3))
    compare(["Page View", "Log In"], ["--reentry", "optimized"], reentry="optimized")
    compare(["Page View", "Log In"], ["--count", "totals"], count="totals")
    compare(["Page View", "Log In"], ["--hold", "$browser"], hold=["$browser"])
    by = compare(['Page View[$browser != "x"]', "Log In"], ["--by", "$browser", "--touch", "last"], by="$browser", touch="last")
    assert len(by["values"]) > 1
    compare(["Page View", "Log In"], ["--exclude", "Search"], exclude=["Search"])
    between = ["--exclude", "Search", "--between", "1,2"]
    compare(["Page View", "Log In", "Checkout"], between, exclude=[("Search", (1, 2))])
    day = datetime.date(2026, 5, 28)
    compare(["Page View", "Log In"], ["--from-date", day, "--to-date", day], from_date=day, to_date=str(day))


def test_uniques_and_retention_are_those_of_the_command(command, engine, files, table):
    for by in ("event", "day"):
        found = idmerge.uniques(table, engine=engine, by=by)
        assert found == asked(command, "uniques", files, "--engine", engine, "--by", by)
        assert found["total"]["events"] > 2900 and len(found["rows"]) > 0
    found = idmerge.retention(table, engine=engine)
    assert found == asked(command, "retention", files, "--engine", engine)
    assert found["cohorts"]
    found = idmerge.retention(table, engine=engine, first="Page View", then="Log In", period="week", periods=2)
    options = ["--first", "Page View", "--then", "Log In", "--period", "week", "--periods", 2]
    assert found == asked(command, "retention", files, "--engine", engine, *options)


def test_lint_finds_what_the_command_finds(command, engine, tmp_path):
    file = tmp_path / "events.ndjson"
    generate = [command, "generate", "--workload", "identify", "--events", "20000", "--seed", "3", "-q", "-o", file]
    subprocess.run([*generate, "--mistakes", tmp_path / "mistakes"], check=True)
    with file.open("a") as lines:
        lines.write('{"event":"View","properties":{"distinct_id":"null","time":1780000000}}\n')
        # A duplicate: its claim does not count twice (AR-2).
        first = next(line for line in file.read_text().splitlines() if '"$create_alias"' in line)
        lines.write(first + "\n")
    found = idmerge.lint(file, engine=engine)
    lines = pa.table({name: pa.table(idmerge.resolve(file, engine=engine))[name] for name in ("event", "properties")})
    assert idmerge.lint(pa.Table.from_batches(lines.combine_chunks().to_batches(max_chunksize=777)), engine=engine) == found
    wanted = asked(command, "lint", file, "--engine", engine)
    assert wanted.pop("inputs") == [str(file)]
    for finding in wanted["findings"]:
        for example in finding["examples"]:
            for evidence in example["evidence"]:
                evidence["row"] = evidence.pop("line") - 1
                assert evidence.pop("file") == str(file)
    assert found == wanted
    assert len(found["findings"]) > 3 and found["refused"] > 0
    few = idmerge.lint(file, engine=engine, examples=1)
    assert max(len(finding["examples"]) for finding in few["findings"]) == 1


def test_times_can_be_timestamps():
    at = datetime.datetime(2026, 5, 1, tzinfo=datetime.timezone.utc)
    events = pl.DataFrame(
        {
            "event": ["View", "Sign Up", "View"],
            "$device_id": ["D1", "D1", "D2"],
            "$user_id": [None, "ada", None],
            "time": [at, at + datetime.timedelta(minutes=1), at],
        }
    )
    view, sign_up = idmerge.funnel(events, ["View", "Sign Up"], engine="simplified")["steps"]
    assert (view["users"], sign_up["users"], sign_up["users_without_merge"]) == (2, 1, 0)
    assert sign_up["median_ms"] == 60_000
    # A user of a row that is no valid event is not counted.
    rows = idmerge.uniques(events.with_columns(pl.lit("NULL").alias("$user_id")), engine="simplified")
    assert rows["total"]["events"] == 0 and rows["events_without_id"] == 0


def test_what_cannot_be_asked_is_an_error_that_says_what_can():
    events = pa.table({"event": ["A"], "$user_id": ["u"], "time": [1780000000]})

    def fails(match, ask, **options):
        with pytest.raises(idmerge.IdmergeError, match=match):
            ask(events, engine="simplified", **options)

    fails("a funnel has from 1 to 100 steps|steps", idmerge.funnel, steps=[])
    fails('reentry is "often", but it must be "first" or "optimized"', idmerge.funnel, steps=["A"], reentry="often")
    fails("window", idmerge.funnel, steps=["A"], window=datetime.timedelta(0))
    fails("window", idmerge.funnel, steps=["A"], window=datetime.timedelta(days=367))
    fails("exclude has steps, or pairs", idmerge.funnel, steps=["A"], exclude=[7])
    fails("from_date is \"May\", but it must be a date", idmerge.funnel, steps=["A"], from_date="May")
    fails("to_date is before from_date", idmerge.uniques, from_date="2026-05-02", to_date="2026-05-01")
    fails('by is "user", but it must be "event" or "day"', idmerge.uniques, by="user")
    fails("periods is 0, but it must be from 1 to 366", idmerge.retention, periods=0)
    with pytest.warns(UserWarning, match='no event is the step "B"'):
        idmerge.funnel(events, ["A", "B"], engine="simplified")
