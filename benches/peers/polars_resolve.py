"""Simplified ID Merge in Polars, streaming: polars_resolve.py IN OUT

This is the fastest of the variants that we tried.
"""

import sys

import polars as pl

source, target = sys.argv[1:]
events = pl.scan_ndjson(source)
field = pl.col("properties").struct.field
users = (
    events.select(device=field("$device_id"), user=field("$user_id"), time=field("time"))
    .filter(pl.col("user").is_not_null())
    .group_by("device")
    .agg(pl.col("user").sort_by("time").first())
    .collect(engine="streaming")
)
resolved = (
    events.with_columns(device=field("$device_id"))
    .join(users.lazy(), on="device", how="left", maintain_order="left")
    .select(
        "event",
        pl.col("properties").struct.with_fields(
            distinct_id=pl.coalesce(
                pl.field("$user_id"),
                pl.col("user"),
                pl.concat_str(pl.lit("$device:"), pl.field("$device_id")),
            )
        ),
    )
)
resolved.sink_ndjson(target, engine="streaming")
