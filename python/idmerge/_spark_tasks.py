"""What :mod:`idmerge.spark` runs in the Python processes of the executors. Each function takes Arrow batches of one
partition and gives Arrow batches."""

import hashlib
import json
import time
import warnings

import pyarrow as pa
import pyarrow.compute as pc

import idmerge

#: Batches are put together to about so many rows, since repeats are dropped within them.
CHUNK_ROWS = 1 << 17
CHUNK_BYTES = 1 << 26

#: A snapshot is given on in pieces of so many bytes, since a row of Spark has at most 2 GiB.
PIECE_BYTES = 1 << 23

#: The columns of a claim, and the bucket and the place in it that a claim is weighed at.
CLAIM = ["kind", "first", "second", "fingerprint"]
FIGURES = "idmerge_figures"
BUCKET = "idmerge_bucket"
PLACE = "idmerge_place"

#: Columns of what a fold gives: a failure, a row of the mapping, a piece of the snapshot or the figures.
FOLDED = ["idmerge_what", "kind", "first", "second", "code", "description", "idmerge_piece", "idmerge_bytes"]


def chunks(batches):
    """The batches as tables of about CHUNK_ROWS rows."""
    kept, rows, size = [], 0, 0
    for batch in batches:
        if batch.num_rows == 0:
            continue
        kept.append(batch)
        rows += batch.num_rows
        size += batch.nbytes
        if rows >= CHUNK_ROWS or size >= CHUNK_BYTES:
            yield pa.Table.from_batches(kept)
            kept, rows, size = [], 0, 0
    if kept:
        yield pa.Table.from_batches(kept)


def first_row(table, order):
    """Where the rows of a table are counted from in a message."""
    first = ", ".join(f"{name}={table[name][0].as_py()!r}" for name in order)
    return f"(rows are counted from the one with {first})"


def with_place(table, order, work):
    """What ``work`` gives for the table. The rows of an error are counted from the start of the table, so it says
    which row that is."""
    with warnings.catch_warnings():
        # The driver has warned of missing columns.
        warnings.simplefilter("ignore")
        try:
            return work(table)
        except idmerge.IdmergeError as error:
            raise type(error)(f"{error} {first_row(table, order)}") from None


def claims(batches, *, engine, order, columns, on_invalid, settings, drops_repeats):
    """The claims of events, and a row with the figures."""
    figures = dict(events=0, events_without_id=0, refused=0, first_refused=None, claims=0, claims_kept=0, seconds=0.0)
    found = None
    for table in chunks(batches):
        started = time.perf_counter()
        made = with_place(
            table,
            order,
            lambda table: idmerge.claims(
                table, engine=engine, keep=order, columns=columns, on_invalid=on_invalid, settings=settings
            ),
        )
        found = pa.table(made)
        for name in ("events", "events_without_id", "refused"):
            figures[name] += getattr(made.summary, name)
        if figures["first_refused"] is None and made.summary.first_refused:
            figures["first_refused"] = f"{made.summary.first_refused} {first_row(table, order)}"
        for name in order:
            if found[name].null_count:
                raise idmerge.ColumnError(f"the column {name} is null in an event with a claim: it must say when each came")
        figures["claims"] += len(found)
        if drops_repeats:
            found = without_repeats(found, order)
        figures["claims_kept"] += len(found)
        figures["seconds"] += time.perf_counter() - started
        found = found.append_column(FIGURES, pa.nulls(len(found), pa.string()))
        # All batches of a task must have one schema, and the last one has nulls.
        found = found.cast(nullable(found.schema))
        yield from found.to_batches()
    if found is not None:
        row = {FIGURES: [json.dumps(figures)]}
        yield from pa.Table.from_pydict(
            {name: row.get(name, [None]) for name in found.column_names}, schema=found.schema
        ).to_batches()


def nullable(schema):
    return pa.schema([field.with_nullable(True) for field in schema])


def without_repeats(claims, order):
    """The first of the claims that are equal. A link that comes again changes nothing (S-6, S-7)."""
    claims = claims.sort_by([(name, "ascending") for name in order])
    keys = ["kind", "first", "second"]
    others = [name for name in claims.column_names if name not in keys]
    firsts = claims.group_by(keys, use_threads=False).aggregate([(name, "first") for name in others])
    firsts = firsts.rename_columns([name.removesuffix("_first") if name not in keys else name for name in firsts.column_names])
    return firsts.select(claims.column_names).cast(claims.schema)


def fold(batches, *, engine, order, settings, snapshot, wants_mapping, wants_snapshot, schema):
    """Weighs claims, which are sorted by bucket and order: an engine for each bucket. ``schema`` is what it gives."""
    figures = {}
    state, before, bucket, seen = None, None, None, set()
    started = time.perf_counter()

    def finished():
        if state is not None:
            yield from results(state, wants_mapping, wants_snapshot, schema)

    for table in chunks(batches):
        figures = merged(figures, table.filter(pc.is_valid(table[FIGURES]))[FIGURES].to_pylist())
        table = table.filter(pc.is_null(table[FIGURES]))
        for key, part in by_bucket(table):
            if key != bucket:
                yield from finished()
                if key in seen:
                    raise idmerge.ColumnError(
                        f"the claims of bucket {key} are not together: the column {BUCKET} was not sorted by"
                    )
                seen.add(key)
                state, before, bucket = new_engine(engine, settings, snapshot), None, key
            folded = state.fold(part, order, after=before)
            before = part.slice(len(part) - 1)
            summary = folded.summary
            figures = merged(figures, [json.dumps({"merges": summary.merges, "rejections_by_code": summary.rejections_by_code})])
            yield from rows(pa.table(folded.failures), "failure", schema)
    if not figures:
        # A partition without rows, beside the one that has them.
        return
    if state is None:
        state = new_engine(engine, settings, snapshot)
    yield from finished()
    figures["fold_seconds"] = time.perf_counter() - started
    yield from rows(pa.table({"description": [json.dumps(figures)]}), "figures", schema)


def by_bucket(table):
    """The parts of a table that have one bucket, in their order."""
    buckets = table[BUCKET].to_numpy()
    starts = [0, *(int(place) + 1 for place in (buckets[1:] != buckets[:-1]).nonzero()[0])] if len(buckets) else []
    for start, end in zip(starts, [*starts[1:], len(buckets)]):
        yield int(buckets[start]), table.slice(start, end - start)


def new_engine(name, settings, snapshot):
    if snapshot is None:
        return idmerge.Engine(name, **(settings or {}))
    return idmerge.Engine.from_snapshot(snapshot, name, **(settings or {}))


def results(state, wants_mapping, wants_snapshot, schema):
    if wants_mapping:
        mapping = pa.table(state.mapping()).rename_columns(["first", "second"])
        yield from rows(mapping, "mapping", schema)
    if wants_snapshot:
        snapshot = state.snapshot()
        for piece, start in enumerate(range(0, len(snapshot), PIECE_BYTES)):
            part = {"idmerge_piece": [piece], "idmerge_bytes": [snapshot[start : start + PIECE_BYTES]]}
            yield from rows(pa.table(part), "snapshot", schema)


def rows(table, what, schema):
    """Rows of the output of a fold. Columns that the table lacks are null."""
    columns = []
    for field in schema:
        if field.name == FOLDED[0]:
            columns.append(pa.array([what] * len(table), field.type))
        elif field.name in table.column_names:
            columns.append(table[field.name].cast(field.type))
        else:
            columns.append(pa.nulls(len(table), field.type))
    # Batches of some thousand rows: a batch becomes one message to Spark.
    yield from pa.table(columns, schema=schema).to_batches(max_chunksize=CHUNK_ROWS)


def merged(figures, more):
    """The sums of figures that are in JSON."""
    figures = dict(figures)
    for text in more:
        for name, value in json.loads(text).items():
            if isinstance(value, dict):
                old = figures.get(name, {})
                figures[name] = {key: old.get(key, 0) + value.get(key, 0) for key in {**old, **value}}
            elif isinstance(value, str) or value is None:
                figures[name] = figures.get(name) or value
            else:
                figures[name] = figures.get(name, 0) + value
    return figures


#: The engine of the latest snapshot. A Python process of an executor has one for all its tasks.
_engines: dict[bytes, idmerge.Engine] = {}


def engine_of(snapshot, engine, settings):
    key = hashlib.blake2b(snapshot, digest_size=16).digest() + json.dumps([engine, settings]).encode()
    if key not in _engines:
        _engines.clear()
        _engines[key] = new_engine(engine, settings, snapshot)
    return _engines[key]


def resolve(batches, *, engine, snapshot, order, columns, on_invalid, settings, failures, names):
    """The events with the IDs of a snapshot."""
    state = engine_of(snapshot, engine, settings)
    for table in chunks(batches):
        resolved = with_place(
            table,
            order,
            lambda table: state.resolve_events(table, columns=columns, on_invalid=on_invalid, failures=failures),
        )
        yield from pa.table(resolved).select(names).to_batches()


def arrive(batches, *, engine, snapshot, order, columns, on_invalid, settings, names):
    """The events, sorted, each with the ID of its arrival (L-3)."""
    state = new_engine(engine, settings, snapshot)
    for table in chunks(batches):
        resolved = with_place(
            table,
            order,
            lambda table: state.resolve_events(table, columns=columns, on_invalid=on_invalid, weigh=True),
        )
        yield from pa.table(resolved).select(names).to_batches()


def own(batches, *, engine, order, columns, on_invalid, settings, names):
    """The events, each with its own ID and the IDs of its claim."""
    for table in chunks(batches):
        ids = with_place(
            table,
            order,
            lambda table: idmerge.own_ids(
                table, engine=engine, claims=True, columns=columns, on_invalid=on_invalid, settings=settings
            ),
        )
        for name, column in zip(names, pa.table(ids).columns):
            table = table.append_column(name, column)
        yield from table.to_batches()


def mapping(batches, *, engine, snapshot, settings):
    """The mapping of a snapshot, once."""
    for batch in batches:
        if batch.num_rows:
            table = pa.table(engine_of(snapshot, engine, settings).mapping())
            yield from table.cast(nullable(table.schema)).to_batches(max_chunksize=CHUNK_ROWS)
