"""Decides which events of a Spark DataFrame belong to one person. Works with Spark 4 and later, with Spark Connect, and
with servers that speak its protocol, such as Sail.

    >>> import idmerge.spark
    >>> run = idmerge.spark.resolve(events, engine="simplified", order="seq")
    >>> run.events.write.parquet("resolved")

The rules are those of the functions of :mod:`idmerge`, which run in the Python processes of the executors: the package
must be installed there. https://github.com/idmerge/idmerge/blob/main/docs/spark.md
"""

import functools
import json
import logging
import re
import time
import uuid
from contextlib import contextmanager

try:
    import pyarrow as pa
    from pyspark.sql import Window
    from pyspark.sql import functions as F
    from pyspark.sql import types as T
except ImportError as error:
    raise ImportError(
        f"idmerge.spark needs Spark 4 and pyarrow ({error}): pip install 'pyspark>=4' pyarrow pandas, or for Spark "
        "Connect pip install 'pyspark-client>=4'"
    ) from error

import idmerge
from idmerge import _spark_tasks as tasks
from idmerge._idmerge import event_columns

__all__ = ["Run", "mapping", "resolve"]

log = logging.getLogger("idmerge.spark")

#: A snapshot up to this size is sent to every Python process. Spark Connect takes messages of at most 128 MiB.
BROADCAST_BYTES_MAX = 1 << 30
CONNECT_BYTES_MAX = 100 << 20

#: Failures up to this number are sent to every executor to be joined.
BROADCAST_FAILURES_MAX = 1_000_000

NO_ORDER = (
    "order is missing. The order of the events decides who is joined to whom (AR-1), and a DataFrame has none: name a "
    "column that rises as the events came, such as the offset of Kafka or a number that your ingestion counts. Events "
    "in Parquet have one: events = spark.read.parquet(path).select('*', '_metadata.file_path', '_metadata.row_index') "
    "and order=['file_path', 'row_index'], if the files are named in order. JSON and CSV have no such column: convert "
    "them to Parquet where their order is still known, for example with `idmerge resolve` or DuckDB"
)


class Run:
    """What :func:`resolve` and :func:`mapping` give."""

    def __init__(self, fold, events=None):
        #: The events with the distinct_id of the person who did each, as a DataFrame, which Spark computes when it is
        #: written. ``None`` of a mapping.
        self.events = events
        #: The figures, with the names of :class:`idmerge.Summary`.
        self.summary = fold.summary
        #: The figures of the work: rows, claims, bytes and seconds.
        self.metrics = fold.metrics
        self._fold = fold

    @property
    def mapping(self):
        """The canonical ID of each other ID: a DataFrame of ``distinct_id`` and ``resolved_distinct_id``."""
        return self._fold.mapping()

    @property
    def failures(self):
        """The claims that a guardrail turned down: a DataFrame with the columns of the order, ``kind``, ``first``,
        ``second``, ``code`` and ``description``. In Simplified a claim that came again may be missing."""
        return self._fold.failures()

    @property
    def snapshot(self):
        """The state as bytes, with which tomorrow's run starts. A run in buckets has none."""
        if self._fold.snapshot is None:
            raise idmerge.SnapshotError(
                "a run in buckets has an engine for each bucket, and no snapshot: take run.mapping, or run without buckets"
            )
        return self._fold.snapshot

    def unpersist(self):
        """Lets Spark forget what it kept of the run. Do it when the events are written."""
        for kept in self._fold.kept:
            kept.unpersist()

    def __repr__(self):
        return f"<idmerge.spark.Run: {self.summary}>"


def resolve(
    events,
    *,
    engine,
    order=None,
    columns=None,
    on_invalid="keep",
    settings=None,
    snapshot=None,
    buckets=None,
    attach="auto",
    work=None,
):
    """Gives each event of a DataFrame the distinct_id of the person who did it.

    ``engine``, ``columns``, ``on_invalid`` and ``settings`` are those of :func:`idmerge.resolve`, and so are the columns
    of ``run.events``. ``order`` names the column, or a list of the columns, that says in which order the events came; no
    two events may have the same.

    ``snapshot`` is ``run.snapshot`` of yesterday, and ``events`` those of today alone. ``buckets`` folds the claims in
    so many tasks in place of one, for more IDs than one machine has memory for. ``attach`` says how the IDs get to the
    events: ``"broadcast"`` sends the state to every Python process, ``"join"`` joins a table, and ``"auto"`` chooses by
    size. ``work`` is a folder on storage that all executors share: what a stage gives is written there, and not computed
    again when an executor is lost.

    The claims are folded at once. The events are computed when they are written.
    """
    source = Source(events, engine, order, columns, on_invalid, settings, work)
    if attach not in ("auto", "broadcast", "join"):
        raise ValueError(f'attach is {attach!r}, but it must be "auto", "broadcast" or "join"')
    if engine == "legacy" and buckets is not None:
        raise idmerge.IdmergeError(
            "in Legacy an event stays with the person of its arrival (L-3), so the state at the end does not say whose it "
            "is, and buckets cannot be used: leave them out, or use idmerge.spark.mapping"
        )
    if buckets is not None and attach == "broadcast":
        raise idmerge.IdmergeError("buckets have no state that could be sent: leave attach out")
    fold = Fold(source, snapshot, buckets, wants_mapping=attach == "join" or buckets is not None)
    if engine == "legacy":
        return Run(fold, source.arrivals(snapshot))
    limit = CONNECT_BYTES_MAX if source.is_connect else BROADCAST_BYTES_MAX
    is_large = fold.snapshot is None or len(fold.snapshot) > limit
    fold.metrics["attach"] = "join" if attach == "join" or (attach == "auto" and is_large) else "broadcast"
    joined = {"join": joined_with_mapping, "broadcast": resolved_by_snapshot}[fold.metrics["attach"]]
    return Run(fold, joined(source, fold))


def mapping(events, *, engine, order=None, columns=None, on_invalid="keep", settings=None, snapshot=None, buckets=None, work=None):
    """The canonical ID of each other ID, as ``run.mapping``. The arguments are those of :func:`resolve`."""
    source = Source(events, engine, order, columns, on_invalid, settings, work)
    return Run(Fold(source, snapshot, buckets, wants_mapping=buckets is not None))


class Source:
    """The events, and how they are read."""

    def __init__(self, events, engine, order, columns, on_invalid, settings, work):
        if order is None or order == []:
            raise idmerge.ColumnError(NO_ORDER)
        self.events = events
        self.engine = engine
        self.order = [order] if isinstance(order, str) else list(order)
        self.columns = dict(columns) if columns else None
        self.on_invalid = on_invalid
        self.settings = settings
        self.work = work
        self.spark = events.sparkSession
        self.is_connect = type(events).__module__.startswith("pyspark.sql.connect")
        self.types = {field.name: field.dataType for field in events.schema.fields}
        self.check()
        # Without this limit Spark measures a batch again for each of its rows, which takes the square of their number
        # if there is a column of lists.
        self.spark.conf.set("spark.sql.execution.arrow.maxBytesPerBatch", str(2**31 - 1))

    def check(self):
        """Finds on the driver what the executors would find."""
        for name in self.order:
            kind = self.types.get(name)
            if kind is None:
                raise idmerge.ColumnError(
                    f"order names the column {name}, which is not there. There are {', '.join(self.types)}; a member of "
                    "a struct, such as _metadata.row_index, must be selected as a column first"
                )
            if not isinstance(kind, (T.IntegralType, T.DecimalType, T.DateType, T.TimestampType, T.TimestampNTZType, T.StringType)):
                raise idmerge.ColumnError(
                    f"the column {name} is {kind.simpleString()}, but an order is of integers, decimals, dates, times or "
                    "texts: cast it"
                )
        taken = {*tasks.CLAIM, "code", "description"}
        for name in self.types:
            if name.startswith("idmerge_") or (name in taken and name in self.order):
                raise idmerge.ColumnError(f"the column {name} has a name that idmerge.spark uses: rename it")
        empty = self.events.limit(0).toArrow()
        self.reading = dict(engine=self.engine, columns=self.columns, on_invalid=self.on_invalid, settings=self.settings)
        idmerge.claims(empty, **self.reading)
        state = idmerge.Engine(self.engine, **(self.settings or {}))
        self.names = state.resolve_events(empty, columns=self.columns).columns

    def col(self, name):
        return F.col("`" + name.replace("`", "``") + "`")

    def fields(self, names, kind=None):
        return [T.StructField(name, kind or self.types[name], True) for name in names]

    def claims(self):
        """The claims, and rows with figures."""
        given = {(self.columns or {}).get(name, name) for name in event_columns()}
        given.update(self.columns.values() if self.columns else ())
        read = [name for name in self.types if name in given or name in self.order]
        schema = T.StructType(
            self.fields(tasks.CLAIM, T.StringType()) + self.fields(self.order) + self.fields([tasks.FIGURES], T.StringType())
        )
        task = functools.partial(
            tasks.claims, order=self.order, drops_repeats=self.engine == "simplified", **self.reading
        )
        return self.events.select(*map(self.col, read)).mapInArrow(task, schema)

    def arrivals(self, snapshot):
        """The events of Legacy, in one task."""
        task = functools.partial(tasks.arrive, snapshot=snapshot, order=self.order, names=self.names, **self.reading)
        one = self.events.withColumn(tasks.BUCKET, F.lit(0))
        return in_order(one, self, 1).mapInArrow(task, self.resolved_schema())

    def resolved_schema(self):
        answers = {"$is_reshuffled": T.BooleanType()}
        kinds = ((name, answers.get(name, T.StringType()) if name in ANSWERS else self.types[name]) for name in self.names)
        return T.StructType([T.StructField(name, kind, True) for name, kind in kinds])

    def keep(self, frame, name, kept):
        """Has Spark keep a DataFrame that is read several times."""
        if self.work is None:
            kept.append(frame.persist())
            return frame
        path = f"{self.work.rstrip('/')}/{name}-{uuid.uuid4().hex}"
        frame.write.parquet(path)
        return self.spark.read.parquet(path)


#: The columns of an answer (W-1 to W-4).
ANSWERS = [
    "distinct_id",
    "$distinct_id_before_identity",
    "$is_reshuffled",
    "$identity_failure_reason",
    "$failure_reason",
    "$failure_description",
]


def in_order(frame, source, tasks_count):
    """The rows of each bucket together and in order, in so many tasks. The number of the row is what makes every planner
    sort: Sail drops an ``orderBy`` that nothing but ``mapInArrow`` follows."""
    orders = [source.col(name).asc_nulls_first() for name in source.order]
    number = F.row_number().over(Window.partitionBy(tasks.BUCKET).orderBy(*orders))
    return frame.repartition(tasks_count, tasks.BUCKET).withColumn(tasks.PLACE, number)


class Fold:
    """The claims of a source, folded."""

    def __init__(self, source, snapshot, buckets, wants_mapping):
        if buckets is not None and snapshot is not None:
            raise idmerge.SnapshotError(
                "buckets cannot start from a snapshot, which is of one engine: give all events, or leave out buckets"
            )
        if buckets is not None and buckets < 1:
            raise ValueError(f"buckets is {buckets}, but it must be at least 1")
        if snapshot is not None:
            if source.is_connect and len(snapshot) > CONNECT_BYTES_MAX:
                raise idmerge.SnapshotError(
                    f"the snapshot has {len(snapshot):,} bytes, but Spark Connect takes messages of at most 128 MiB: run "
                    "this in a session of Spark itself"
                )
            # On the driver the error is sooner, and of one line.
            tasks.new_engine(source.engine, source.settings, snapshot)
        self.source, self.kept, self.metrics = source, [], {}
        self.wants_mapping = wants_mapping
        started = time.perf_counter()
        with errors_of_tasks():
            self.folded = self.run(snapshot, buckets)
            self.take_figures(snapshot, buckets is None)
        self.metrics["seconds"] = time.perf_counter() - started
        log.info("folded: %s; %s", self.summary, self.metrics)

    def run(self, snapshot, buckets):
        source = self.source
        claims = source.claims()
        if buckets is None:
            claims = claims.withColumn(tasks.BUCKET, F.lit(0))
        else:
            claims = self.with_buckets(claims, buckets)
        kinds = {name: T.StringType() for name in tasks.FOLDED}
        kinds.update(idmerge_piece=T.LongType(), idmerge_bytes=T.BinaryType())
        fields = [T.StructField(name, kind, True) for name, kind in kinds.items()]
        schema = T.StructType(source.fields(source.order) + fields)
        types = {T.StringType(): pa.string(), T.LongType(): pa.int64(), T.BinaryType(): pa.binary()}
        empty = source.events.select(*map(source.col, source.order)).limit(0).toArrow().schema
        arrow = pa.schema([*empty, *((name, types[kind]) for name, kind in kinds.items())])
        task = functools.partial(
            tasks.fold,
            engine=source.engine,
            order=source.order,
            settings=source.settings,
            snapshot=snapshot,
            wants_mapping=self.wants_mapping,
            wants_snapshot=buckets is None,
            schema=tasks.nullable(arrow),
        )
        folded = in_order(claims, source, buckets or 1).mapInArrow(task, schema)
        return source.keep(folded, "fold", self.kept)

    def with_buckets(self, claims, buckets):
        """The bucket of each claim: one for all that affect each other."""
        source, started = self.source, time.perf_counter()
        claims = source.keep(claims, "claims", self.kept)
        if source.engine == "simplified":
            # The answer to a link depends on its device alone (S-5 to S-7).
            key = F.xxhash64("first")
        else:
            from idmerge import _spark_components as components

            ids = claims.where(F.col(tasks.FIGURES).isNull())
            # Two IDs with one hash of 64 bits only join their components.
            edges = ids.select(F.xxhash64("first").alias("u"), F.xxhash64("second").alias("v"))
            keep = functools.partial(source.keep, kept=self.kept)
            labels, self.metrics["component_rounds"] = components.labels(edges, keep)
            claims = claims.join(labels, F.xxhash64("first") == labels["node"], "left").drop("node")
            key = F.coalesce("label", F.xxhash64("first"))
        self.metrics["components_seconds"] = time.perf_counter() - started
        bucket = F.when(F.col(tasks.FIGURES).isNull(), F.pmod(key, F.lit(buckets))).otherwise(0)
        return claims.withColumn(tasks.BUCKET, bucket).drop("label")

    def take_figures(self, before, has_snapshot):
        few = self.folded.where(F.col("idmerge_what").isin("snapshot", "figures"))
        few = few.select("idmerge_what", "description", "idmerge_piece", "idmerge_bytes").collect()
        figures = tasks.merged({}, (row["description"] for row in few if row["idmerge_what"] == "figures"))
        pieces = [(row["idmerge_piece"], row["idmerge_bytes"]) for row in few if row["idmerge_what"] == "snapshot"]
        self.snapshot = b"".join(bytes(piece) for _, piece in sorted(pieces)) if has_snapshot else None
        if not figures and has_snapshot:
            # There are no events, and no task had rows.
            self.snapshot = tasks.new_engine(self.source.engine, self.source.settings, before).snapshot()
            self.wants_mapping = False
        codes = figures.get("rejections_by_code", {})
        self.summary = {
            "events": figures.get("events", 0),
            "events_without_id": figures.get("events_without_id", 0),
            "merges": figures.get("merges", 0),
            # In Simplified, repeats of a rejected link were dropped before.
            "rejections": sum(codes.values()),
            "rejections_by_code": codes,
            "refused": figures.get("refused", 0),
            "first_refused": figures.get("first_refused"),
        }
        self.metrics["rows"] = self.summary["events"] + self.summary["refused"]
        self.metrics["claims"] = figures.get("claims", 0)
        self.metrics["claims_folded"] = figures.get("claims_kept", 0)
        self.metrics["claims_task_seconds"] = figures.get("seconds", 0.0)
        self.metrics["fold_task_seconds"] = figures.get("fold_seconds", 0.0)
        self.metrics["snapshot_bytes"] = len(self.snapshot) if has_snapshot else None

    def of_kind(self, what):
        return self.folded.where(F.col("idmerge_what") == what)

    def failures(self):
        names = [*self.source.order, *tasks.CLAIM[:3], "code", "description"]
        return self.of_kind("failure").select(*map(self.source.col, names))

    def mapping(self):
        names = ["distinct_id", "resolved_distinct_id"]
        if self.wants_mapping:
            return self.of_kind("mapping").select(F.col("first").alias(names[0]), F.col("second").alias(names[1]))
        source = self.source
        task = functools.partial(
            tasks.mapping, engine=source.engine, snapshot=self.snapshot, settings=source.settings
        )
        schema = T.StructType([T.StructField(name, T.StringType(), True) for name in names])
        return source.spark.range(0, 1, 1, 1).mapInArrow(task, schema)


def resolved_by_snapshot(source, fold):
    """The events, resolved by the engine of a snapshot."""
    events, names = source.events, None
    # In Simplified the state says which claims are rejected.
    if source.engine != "simplified":
        events, names = with_failures(source, fold, events), ("idmerge_code", "idmerge_description")
    task = functools.partial(
        tasks.resolve, snapshot=fold.snapshot, order=source.order, failures=names, names=source.names, **source.reading
    )
    return events.mapInArrow(task, source.resolved_schema())


def with_failures(source, fold, events):
    """The events with the failures of their claims, by the order."""
    keys = [f"idmerge_order_{place}" for place in range(len(source.order))]
    names = [source.col(name).alias(key) for name, key in zip(source.order, keys)]
    reasons = [F.col("code").alias("idmerge_code"), F.col("description").alias("idmerge_description")]
    failures = fold.of_kind("failure").select(*names, *reasons)
    same = functools.reduce(lambda one, other: one & other, (source.col(name) == F.col(key) for name, key in zip(source.order, keys)))
    return events.join(small(failures, fold), same, "left").drop(*keys)


def small(failures, fold):
    return F.broadcast(failures) if fold.summary["rejections"] <= BROADCAST_FAILURES_MAX else failures


def joined_with_mapping(source, fold):
    """The events, joined with the mapping and the failures."""
    ids = ["idmerge_own", "idmerge_kind", "idmerge_first", "idmerge_second"]
    schema = T.StructType(source.fields(source.types) + source.fields(ids, T.StringType()))
    task = functools.partial(tasks.own, order=source.order, names=ids, **source.reading)
    events = source.events.mapInArrow(task, schema)
    names = ["idmerge_id", "idmerge_resolved"]
    events = events.join(fold.mapping().toDF(*names), F.col("idmerge_own") == F.col(names[0]), "left")
    if source.engine == "simplified":
        # A link that was rejected once is rejected whenever it comes (S-7).
        pairs = fold.of_kind("failure").select(
            F.col("first").alias("idmerge_1"), F.col("second").alias("idmerge_2"), F.col("code").alias("idmerge_code")
        )
        same = (F.col("idmerge_first") == F.col("idmerge_1")) & (F.col("idmerge_second") == F.col("idmerge_2"))
        events = events.join(small(pairs.distinct(), fold), same, "left")
    else:
        events = with_failures(source, fold, events)
    makes_claim, is_moved = F.col("idmerge_kind").isNotNull(), F.col("idmerge_resolved").isNotNull()
    reason = F.when(makes_claim, F.col("idmerge_code"))
    nothing, is_simplified = F.lit(None).cast("string"), source.engine == "simplified"
    answers = {
        "distinct_id": F.coalesce("idmerge_resolved", "idmerge_own"),
        "$distinct_id_before_identity": F.when(is_moved, F.col("idmerge_own")),
        "$is_reshuffled": F.when(is_moved, F.lit(True)),
        "$identity_failure_reason": reason if is_simplified else nothing,
        "$failure_reason": nothing if is_simplified else reason,
        "$failure_description": nothing if is_simplified else F.when(makes_claim, F.col("idmerge_description")),
    }
    return events.select(*(answers.get(name, source.col(name)).alias(name) for name in source.names))


#: An exception of the package in the text of an error, which is all that Spark and Sail give of it.
RAISED = re.compile(r"\b(ColumnError|InvalidEventError|SnapshotError|IdmergeError): (.+)$", re.MULTILINE)


@contextmanager
def errors_of_tasks():
    """Raises an exception of a task as if the driver had raised it."""
    try:
        yield
    except Exception as error:
        if "No module named 'idmerge'" in str(error):
            raise ImportError(
                "the Python of the executors has no idmerge: install it there, or name that Python as PYSPARK_PYTHON "
                "(spark.pyspark.python) before the session starts"
            ) from error
        found = RAISED.search(str(error))
        if found is None:
            raise
        raise getattr(idmerge, found[1])(found[2].strip()) from error
