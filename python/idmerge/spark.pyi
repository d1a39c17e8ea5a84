from collections.abc import Mapping
from typing import Any, Literal

from pyspark.sql import DataFrame

from idmerge._idmerge import EngineName, OnInvalid, Settings

class Run:
    events: Any
    summary: dict[str, Any]
    metrics: dict[str, Any]
    @property
    def mapping(self) -> DataFrame: ...
    @property
    def failures(self) -> DataFrame: ...
    @property
    def snapshot(self) -> bytes: ...
    def unpersist(self) -> None: ...

def resolve(
    events: DataFrame,
    *,
    engine: EngineName,
    order: str | list[str] | None = None,
    columns: Mapping[str, str] | None = None,
    on_invalid: OnInvalid = "keep",
    settings: Settings | None = None,
    snapshot: bytes | None = None,
    buckets: int | None = None,
    attach: Literal["auto", "broadcast", "join"] = "auto",
    work: str | None = None,
) -> Run: ...
def mapping(
    events: DataFrame,
    *,
    engine: EngineName,
    order: str | list[str] | None = None,
    columns: Mapping[str, str] | None = None,
    on_invalid: OnInvalid = "keep",
    settings: Settings | None = None,
    snapshot: bytes | None = None,
    buckets: int | None = None,
    work: str | None = None,
) -> Run: ...
