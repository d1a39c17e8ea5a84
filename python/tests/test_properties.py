"""Any events: the package gives what the command gives for the same rows as NDJSON.

The rows are drawn from few IDs, so that they are linked, rejected and repeated, and from odd values, which are refused.
"""

import os

import idmerge
import pyarrow as pa
import pytest
from conftest import LIBRARIES, UUID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_same_answers import nested, same

pytestmark = pytest.mark.filterwarnings("ignore:there is no column:UserWarning")

UUIDS = [UUID, UUID.upper(), "00000000-0000-4000-8000-000000000001"]

ODD = ["", "null", "Anonymous", "$device:", "$device:$device:x", "\U0001f600", "é", "e\u0301", " a", "x" * 255, "é" * 127 + "x", "x" * 256, "0", "-1", "007", '"', "\\", "a,b", "\n", "\u2028"]

texts = st.one_of(
    st.sampled_from(["a", "b", "A", "u1", "u2", *UUIDS]),
    st.sampled_from(["a", "b", *UUIDS]).map("$device:".__add__),
    st.sampled_from(ODD),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
)
maybe = st.one_of(st.none(), texts)
integers = st.one_of(st.none(), st.sampled_from([0, -1, 1, 7, 2**53, 2**53 + 1, 2**63 - 1, -(2**63)]), st.integers(-(2**63), 2**63 - 1))
names = st.sampled_from(["A", "Log In", "$identify", "$create_alias", "$merge", ""])
lists = st.one_of(st.none(), st.lists(maybe, min_size=1, max_size=3), st.lists(texts, min_size=2, max_size=2))


def row(ids):
    return st.fixed_dictionaries(
        {
            "event": names,
            "distinct_id": ids,
            "$user_id": ids,
            "$device_id": ids,
            "$identified_id": st.one_of(st.none(), ids),
            "$anon_id": ids,
            "$anon_distinct_id": ids,
            "alias": ids,
            "$distinct_ids": lists,
            "$distinct_id_before_identity": st.one_of(st.none(), ids),
            "$insert_id": st.sampled_from([None, None, "i", "j", ""]),
            "time": st.sampled_from([None, 1700000000, 1700000000000, 1700000001]),
        }
    )


def tables(ids):
    """Several rows; a row may come twice. The last one is valid: the command fails if none is (IN-6)."""
    few = st.lists(row(ids), min_size=1, max_size=12)
    rows = few.flatmap(lambda rows: st.lists(st.sampled_from(rows), min_size=1, max_size=24))
    return rows.map(lambda rows: [*rows, {**dict.fromkeys(rows[0]), "event": "Valid"}])


EXAMPLES = int(os.environ.get("IDMERGE_EXAMPLES", "25"))

few_examples = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])


@few_examples
@given(rows=tables(maybe), make=st.sampled_from(list(LIBRARIES)))
def test_texts(command, engine, rows, make):
    same(command, engine, rows, LIBRARIES[make](rows))


@few_examples
@given(rows=tables(integers), make=st.sampled_from(list(LIBRARIES)))
def test_integers(command, engine, rows, make):
    same(command, engine, rows, LIBRARIES[make](rows))


@few_examples
@given(rows=tables(maybe), data=st.data())
def test_nested_properties_and_other_types(command, engine, rows, data):
    kinds = dict(nested(rows))
    kind = data.draw(st.sampled_from(["json", "struct", "dictionaries", "large", "views"]))
    same(command, engine, rows, kinds[kind])


@few_examples
@given(rows=tables(maybe), cut=st.integers(1, 5))
def test_any_batches_are_one_table(engine, rows, cut):
    whole = LIBRARIES["pyarrow"](rows)
    parts = pa.Table.from_batches(whole.to_batches(max_chunksize=cut), schema=whole.schema)
    once, again = idmerge.resolve(whole, engine=engine), idmerge.resolve(parts, engine=engine)
    assert pa.table(once) == pa.table(again)
    assert once.summary == again.summary
    assert once.engine.snapshot() == again.engine.snapshot()
