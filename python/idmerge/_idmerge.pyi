from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NoReturn, Protocol, TypeAlias, TypedDict, final, overload

from typing_extensions import Unpack, disjoint_base

class ArrowStream(Protocol):
    """A table of DuckDB, Polars, pandas or pyarrow, or a column of one."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...

class LazyFrame(Protocol):
    """A LazyFrame of Polars, which is collected."""

    def collect(self) -> Any: ...

Events: TypeAlias = ArrowStream | LazyFrame | str | PathLike[str]
EngineName: TypeAlias = Literal["simplified", "original", "legacy"]
OnInvalid: TypeAlias = Literal["keep", "raise"]

class Settings(TypedDict, total=False):
    max_cluster_ids: int
    anon_id_format: Literal["uuid_v4", "guid", "sdk"]
    max_id_bytes: int
    blocked_ids: list[str]

class Ingested(TypedDict):
    continues_again: bool
    events_taken_before: int
    events: int
    events_erased: int
    events_repeated: int
    new_entries: int
    merges: int
    rejections: int
    rejections_by_code: dict[str, int]
    refused: int
    first_refused: str | None

class Retracted(TypedDict):
    sequence: int
    is_new: bool
    claims: int
    changes: Table

__version__: str

class IdmergeError(ValueError): ...
class ColumnError(IdmergeError): ...
class InvalidEventError(IdmergeError): ...
class SnapshotError(IdmergeError): ...
class StoreError(IdmergeError): ...

@final
class Summary:
    @property
    def events(self) -> int: ...
    @property
    def events_without_id(self) -> int: ...
    @property
    def users_before(self) -> int | None: ...
    @property
    def users_after(self) -> int | None: ...
    @property
    def merges(self) -> int: ...
    @property
    def rejections(self) -> int: ...
    @property
    def rejections_by_code(self) -> dict[str, int]: ...
    @property
    def refused(self) -> int: ...
    @property
    def first_refused(self) -> str | None: ...
    def as_dict(self) -> dict[str, Any]: ...
    def __eq__(self, other: object, /) -> bool: ...

@disjoint_base
class Table:
    @property
    def columns(self) -> list[str]: ...
    def __len__(self) -> int: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...
    def __arrow_c_schema__(self) -> object: ...

@final
class Resolved(Table):
    @property
    def summary(self) -> Summary: ...
    @property
    def refused(self) -> Table: ...
    @property
    def engine(self) -> Engine: ...

@final
class Claims(Table):
    @property
    def summary(self) -> Summary: ...

@final
class Folded:
    @property
    def summary(self) -> Summary: ...
    @property
    def failures(self) -> Table: ...

@final
class Engine:
    def __new__(cls, engine: EngineName, **settings: Unpack[Settings]) -> Engine: ...
    @staticmethod
    def from_snapshot(
        snapshot: bytes, engine: EngineName, **settings: Unpack[Settings]
    ) -> Engine: ...
    @property
    def name(self) -> EngineName: ...
    def apply(
        self,
        events: Events,
        *,
        columns: Mapping[str, str] | None = None,
        on_invalid: OnInvalid = "keep",
    ) -> Summary: ...
    def fold(
        self,
        claims: ArrowStream,
        order: str | list[str] | None = None,
        *,
        after: ArrowStream | None = None,
    ) -> Folded: ...
    def resolve_events(
        self,
        events: Events,
        *,
        columns: Mapping[str, str] | None = None,
        on_invalid: OnInvalid = "keep",
        failures: tuple[str, str] | None = None,
        weigh: bool = False,
    ) -> Table: ...
    @overload
    def resolve(self, ids: str | int) -> str: ...  # type: ignore[overload-overlap]
    @overload
    def resolve(self, ids: None) -> None: ...
    @overload
    def resolve(self, ids: ArrowStream) -> Table: ...
    @overload
    def resolve(self, ids: Iterable[str | int]) -> list[str]: ...
    @overload
    def resolve(self, ids: Iterable[str | int | None]) -> list[str | None]: ...
    def cluster(self, id: str | int) -> list[str] | None: ...
    def clusters(self) -> Table: ...
    def mapping(self) -> Table: ...
    def snapshot(self) -> bytes: ...
    def __len__(self) -> int: ...
    def __bool__(self) -> bool: ...

@final
class Store:
    def __new__(
        cls,
        path: str | PathLike[str],
        *,
        engine: EngineName | None = None,
        read_only: bool = False,
        **settings: Unpack[Settings],
    ) -> Store: ...
    @property
    def engine(self) -> EngineName: ...
    @property
    def path(self) -> Path: ...
    @property
    def last(self) -> int: ...
    def ingest(
        self,
        events: Events,
        *,
        columns: Mapping[str, str] | None = None,
        on_invalid: OnInvalid = "keep",
        source: str = "python",
        again: bool = False,
    ) -> Ingested: ...
    @overload
    def resolve(self, ids: str | int) -> str: ...  # type: ignore[overload-overlap]
    @overload
    def resolve(self, ids: None) -> None: ...
    @overload
    def resolve(self, ids: ArrowStream) -> Table: ...
    @overload
    def resolve(self, ids: Iterable[str | int]) -> list[str]: ...
    @overload
    def resolve(self, ids: Iterable[str | int | None]) -> list[str | None]: ...
    @overload
    def as_of(self, sequence: int, ids: str | int) -> str: ...  # type: ignore[overload-overlap]
    @overload
    def as_of(self, sequence: int, ids: None) -> None: ...
    @overload
    def as_of(self, sequence: int, ids: ArrowStream) -> Table: ...
    @overload
    def as_of(self, sequence: int, ids: Iterable[str | int]) -> list[str]: ...
    @overload
    def as_of(self, sequence: int, ids: Iterable[str | int | None]) -> list[str | None]: ...
    def cluster(self, id: str | int) -> list[str] | None: ...
    def mapping(self) -> Table: ...
    def explain(self, id: str | int, other: str | int | None = None) -> dict[str, Any]: ...
    def retract(
        self,
        sequence: int | None = None,
        *,
        who: str,
        why: str,
        detach: str | int | None = None,
    ) -> Retracted: ...
    def changes(self, since: int = 0, *, limit: int | None = None) -> Table: ...
    def simulate(
        self,
        engine: EngineName,
        *,
        as_of: int | None = None,
        examples: int = 5,
        **settings: Unpack[Settings],
    ) -> dict[str, Any]: ...
    def digest(self, *, as_of: int | None = None) -> str: ...
    def close(self) -> None: ...
    def __enter__(self) -> Store: ...
    def __exit__(
        self,
        exception_type: type[BaseException] | None = None,
        exception: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None: ...
    def __reduce__(self) -> NoReturn: ...

def resolve(
    events: Events,
    *,
    engine: EngineName,
    columns: Mapping[str, str] | None = None,
    on_invalid: OnInvalid = "keep",
    settings: Settings | None = None,
) -> Resolved: ...
def mapping(
    events: Events,
    *,
    engine: EngineName,
    columns: Mapping[str, str] | None = None,
    on_invalid: OnInvalid = "keep",
    settings: Settings | None = None,
) -> Table: ...
def own_ids(
    events: Events,
    *,
    engine: EngineName,
    claims: bool = False,
    columns: Mapping[str, str] | None = None,
    on_invalid: OnInvalid = "keep",
    settings: Settings | None = None,
) -> Table: ...
def claims(
    events: Events,
    *,
    engine: EngineName,
    keep: list[str] = ...,
    columns: Mapping[str, str] | None = None,
    on_invalid: OnInvalid = "keep",
    settings: Settings | None = None,
) -> Claims: ...
def event_columns() -> list[str]: ...
def run_command(arguments: list[str]) -> int: ...
def funnel(
    events: Events,
    steps: Sequence[str],
    *,
    engine: EngineName,
    window: timedelta | None = None,
    grace: timedelta | None = None,
    reentry: Literal["first", "optimized"] = "first",
    count: Literal["uniques", "totals"] = "uniques",
    hold: Sequence[str] = ...,
    exclude: Sequence[str | tuple[str, tuple[int, int]]] = ...,
    by: str | None = None,
    touch: Literal["first", "last", "each"] = "first",
    from_date: date | str | None = None,
    to_date: date | str | None = None,
    columns: Mapping[str, str] | None = None,
    on_invalid: OnInvalid = "keep",
    settings: Settings | None = None,
) -> dict[str, Any]: ...
def uniques(
    events: Events,
    *,
    engine: EngineName,
    by: Literal["event", "day"] = "event",
    from_date: date | str | None = None,
    to_date: date | str | None = None,
    columns: Mapping[str, str] | None = None,
    on_invalid: OnInvalid = "keep",
    settings: Settings | None = None,
) -> dict[str, Any]: ...
def retention(
    events: Events,
    *,
    engine: EngineName,
    first: str | None = None,
    then: str | None = None,
    period: Literal["day", "week"] = "day",
    periods: int = 7,
    from_date: date | str | None = None,
    to_date: date | str | None = None,
    columns: Mapping[str, str] | None = None,
    on_invalid: OnInvalid = "keep",
    settings: Settings | None = None,
) -> dict[str, Any]: ...
def lint(
    events: Events,
    *,
    engine: EngineName,
    examples: int = 10,
    columns: Mapping[str, str] | None = None,
    settings: Settings | None = None,
) -> dict[str, Any]: ...
