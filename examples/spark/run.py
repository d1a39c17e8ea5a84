"""Runs events through Spark and through the command `idmerge`, and compares the answers.

Starts a standalone master and two workers on this machine, makes events, and resolves them: with two workers, with one,
and with a worker killed in each of the three stages. Needs Linux, Java 17, `pip install ./python 'pyspark>=4' 'pandas<3'
pyarrow`, and the command: `cargo build --release`.

    python examples/spark/run.py --events 1000000
"""

import argparse
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json
import pyarrow.parquet as pq

from cluster import Cluster, Killer, get, stages_of

TEXTS = ["$browser", "$os", "$current_url", "mp_lib", "$lib_version", "$insert_id", "distinct_id", "$device_id", "$user_id", "$anon_distinct_id"]
PROPERTIES = pa.struct([*((name, pa.string()) for name in TEXTS), ("$screen_height", pa.int64()), ("time", pa.float64())])
FILES = 16
#: A short stage can end before its worker is found.
ATTEMPTS = 10


def main():
    arguments = parse()
    folder = pathlib.Path(arguments.folder or tempfile.mkdtemp(prefix="idmerge-spark-"))
    folder.mkdir(parents=True, exist_ok=True)
    cluster = None
    try:
        events = make(arguments, folder)
        wanted = {engine: of_command(arguments, engine, events, folder) for engine in arguments.engine}
        cluster = Cluster(folder / "cluster", arguments.worker_memory)
        for engine in arguments.engine:
            compare(arguments, engine, cluster, folder, wanted[engine])
    finally:
        if cluster:
            cluster.stop()
        if not arguments.keep:
            shutil.rmtree(folder)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000, help="how many events [default: 1000000]")
    parser.add_argument("--engine", nargs="+", default=["simplified"], choices=["simplified", "original"], help="[default: simplified]")
    parser.add_argument("--buckets", type=int, help="also fold the components of the claims in so many buckets")
    parser.add_argument("--only-two", action="store_true", help="do not run with one worker, which takes the longest")
    stages = ["claims", "fold", "write"]
    parser.add_argument("--kill", nargs="*", default=stages, choices=stages, help="kill a worker in these stages [default: in each]")
    parser.add_argument("--worker-memory", default="2g", help="memory of a worker; its executor gets all of it [default: 2g]")
    parser.add_argument("--idmerge", default="target/release/idmerge", help="the command [default: target/release/idmerge]")
    parser.add_argument("--folder", help="where the events and the answers go [default: a temporary folder]")
    parser.add_argument("--keep", action="store_true", help="leave the folder")
    return parser.parse_args()


def make(arguments, folder):
    """The events as NDJSON for the command, and as Parquet with the column `seq` for Spark."""
    events = folder / "events.ndjson"
    command = [arguments.idmerge, "generate", "--workload", "web-login", "--events", str(arguments.events), "-q", "-o", events]
    subprocess.run(command, check=True)
    parquet = folder / "events"
    parquet.mkdir(exist_ok=True)
    per_file, number, seq, kept = -(-arguments.events // FILES), 0, 0, []

    def write(rows):
        nonlocal number
        pq.write_table(rows, parquet / f"{number:03}.parquet", compression="zstd")
        number += 1

    for batch in read_json(events, pa.schema([("event", pa.string()), ("properties", PROPERTIES)])):
        table = pa.Table.from_batches([batch])
        columns = {"seq": pa.array(range(seq, seq + len(table))), "event": table["event"]}
        members = table["properties"].combine_chunks()
        columns.update((field.name, members.field(field.name)) for field in PROPERTIES)
        seq += len(table)
        kept.append(pa.table(columns))
        if sum(map(len, kept)) >= per_file:
            write(pa.concat_tables(kept))
            kept = []
    if kept:
        write(pa.concat_tables(kept))
    say(f"{seq:,} events, {size(events)} as NDJSON, {size(parquet)} as Parquet")
    return events


def read_json(path, schema):
    parse_options = pyarrow.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    return pyarrow.json.open_json(path, read_options=pyarrow.json.ReadOptions(block_size=1 << 24), parse_options=parse_options)


def of_command(arguments, engine, events, folder):
    """The digest of the mapping and the distinct_id of each event, by the command."""
    resolved = folder / "resolved.ndjson"
    started, before = time.perf_counter(), os.times()
    subprocess.run([arguments.idmerge, "resolve", events, "--engine", engine, "-q", "-o", resolved], check=True)
    seconds, after = time.perf_counter() - started, os.times()
    processor = after.children_user + after.children_system - before.children_user - before.children_system
    say(f"{engine}, the command, NDJSON to NDJSON: {seconds:.1f} s, {processor:.1f} s of processor time")
    schema = pa.schema([("properties", pa.struct([("distinct_id", pa.string())]))])
    ids = [pc.struct_field(batch["properties"], "distinct_id") for batch in read_json(resolved, schema)]
    resolved.unlink()
    # Nobody reads the texts, so their digest by blocks of rows is enough.
    ids = digests(pa.chunked_array(ids))
    mapping = subprocess.run([arguments.idmerge, "mappings", events, "--engine", engine, "-q"], check=True, capture_output=True)
    rows = sorted(tuple(json.loads(line).values()) for line in mapping.stdout.splitlines())
    return {"ids": ids, "mapping": digest(rows), "seconds": seconds, "processor": processor}


def digests(ids):
    """A digest of each million of the texts of a column, in order."""
    found = []
    for start in range(0, len(ids), 1_000_000):
        texts = ids.slice(start, 1_000_000).to_pylist()
        found.append(hashlib.sha256("\n".join(text or "" for text in texts).encode()).hexdigest())
    return found


def digest(rows):
    return hashlib.sha256("\n".join("\t".join(row) for row in rows).encode()).hexdigest()


def compare(arguments, engine, cluster, folder, wanted):
    two = run(arguments, engine, cluster, folder, wanted, 2)
    say(f"{engine}, two workers take {two['seconds'] / wanted['seconds']:.1f} times the time of the command")
    if not arguments.only_two:
        one = run(arguments, engine, cluster, folder, wanted, 1)
        say(
            f"{engine}, an event on two workers costs {two['processor'] / one['processor']:.2f} times the processor time of "
            f"one, and {2 * two['seconds'] / one['seconds']:.2f} times the time that workers are held"
        )
    if arguments.buckets:
        run(arguments, engine, cluster, folder, wanted, 2, buckets=arguments.buckets)
    for stage in arguments.kill:
        for _ in range(ATTEMPTS):
            if run(arguments, engine, cluster, folder, wanted, 2, kill=stage):
                break
        else:
            raise SystemExit(f"the stage {stage} ended before a worker could be killed, {ATTEMPTS} times: give more --events")


def run(arguments, engine, cluster, folder, wanted, workers, kill=None, buckets=None):
    """Resolves the events in an application of its own. Fails if the answers are not those of the command. Returns what it cost;
    nothing if the stage in which a worker was to be killed ended before."""
    import idmerge.spark
    from pyspark.sql import SparkSession

    while len(cluster.workers) < workers:
        cluster.add_worker()
    while len(cluster.workers) > workers:
        cluster.kill(cluster.workers[0])
    spark = SparkSession.builder.master(cluster.url).appName("idmerge").config("spark.executor.memory", arguments.worker_memory)
    settings = {
        "spark.executor.cores": "1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.ui.port": "0",
        "spark.sql.files.maxPartitionBytes": "32m",
        "spark.ui.showConsoleProgress": "false",
    }
    for name, value in settings.items():
        spark = spark.config(name, value)
    spark = spark.getOrCreate()
    spark.sparkContext.setLogLevel("OFF" if kill else "ERROR")
    out = folder / "resolved"
    # The executors start now, and load Python.
    spark.range(workers * 4).repartition(workers * 4).mapInArrow(lambda batches: batches, "id long").count()
    killer = Killer(spark, cluster, kill) if kill else None
    processor, started = cluster.processor_seconds(), time.perf_counter()
    if killer:
        killer.phase = "fold"
        killer.start()
    found = idmerge.spark.resolve(spark.read.parquet(str(folder / "events")), engine=engine, order="seq", buckets=buckets)
    folded = time.perf_counter() - started
    if killer:
        killer.phase = "write"
    found.events.write.mode("overwrite").parquet(str(out))
    seconds = time.perf_counter() - started
    cost = {"seconds": seconds, "processor": cluster.processor_seconds() - processor}
    if killer:
        killer.ended.set()
        killer.join()
        if killer.killed is None:
            spark.stop()
            return None
    shuffled = sum(stage["shuffleWriteBytes"] for stage in get(stages_of(spark)))
    mapping = digest(sorted(tuple(row) for row in found.mapping.collect()))
    spark.stop()
    ids = pq.read_table(out, columns=["seq", "distinct_id"]).sort_by("seq")["distinct_id"]
    shutil.rmtree(out)
    if mapping != wanted["mapping"] or digests(ids) != wanted["ids"]:
        raise SystemExit(f"{engine}: Spark does not give what the command gives")
    what = f"killed in {killer.killed}" if killer else f"{cost['processor']:.1f} s of processor time"
    parts = "" if buckets is None else f" in {buckets} buckets, {found.metrics['component_rounds'] if 'component_rounds' in found.metrics else 0} rounds,"
    say(f"{engine}, {workers} workers{parts}: {seconds:.1f} s, of which claims and fold {folded:.1f}; {what}; equal to the command")
    say(f"  {shuffled / 1e6:.1f} MB shuffled; {json.dumps(found.metrics)}")
    return cost


def size(path):
    files = [path] if path.is_file() else path.iterdir()
    return f"{sum(file.stat().st_size for file in files) / 1e6:,.0f} MB"


def say(text):
    print(text, flush=True)


if __name__ == "__main__":
    os.environ["PYSPARK_PYTHON"] = sys.executable
    main()
