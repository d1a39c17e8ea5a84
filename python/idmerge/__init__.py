"""Decides which events belong to one person, by the rules of Mixpanel's ID Merge.

    >>> import idmerge
    >>> resolved = idmerge.resolve(events, engine="simplified")

Tables come from DuckDB, Polars, pandas or pyarrow and go there, without a copy on the way in. The rules are those of
the command ``idmerge``, and so are the answers: https://github.com/idmerge/idmerge/blob/main/docs/python.md
"""

from idmerge._idmerge import (
    Claims,
    ColumnError,
    Engine,
    Folded,
    IdmergeError,
    InvalidEventError,
    Resolved,
    SnapshotError,
    Store,
    StoreError,
    Summary,
    Table,
    __version__,
    claims,
    funnel,
    lint,
    mapping,
    own_ids,
    resolve,
    retention,
    uniques,
)

__all__ = [
    "Claims",
    "ColumnError",
    "Engine",
    "Folded",
    "IdmergeError",
    "InvalidEventError",
    "Resolved",
    "SnapshotError",
    "Store",
    "StoreError",
    "Summary",
    "Table",
    "__version__",
    "claims",
    "funnel",
    "lint",
    "mapping",
    "own_ids",
    "resolve",
    "retention",
    "uniques",
]
