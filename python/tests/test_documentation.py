"""The examples of the docstrings and of the README work as they are written."""

import datetime
import doctest
import inspect

import duckdb
import idmerge
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from conftest import ROOT


def documented():
    for name in idmerge.__all__:
        value = getattr(idmerge, name)
        if not callable(value):
            continue
        yield name, value
        if inspect.isclass(value):
            for member, inner in vars(value).items():
                if not member.startswith("_"):
                    yield f"{name}.{member}", inner


@pytest.mark.parametrize(("name", "value"), list(documented()), ids=[name for name, _ in documented()])
def test_a_docstring_is_there_and_its_example_works(name, value, tmp_path):
    assert value.__doc__, f"{name} has no docstring"
    if isinstance(value, type) and issubclass(value, Exception):
        return
    events = pa.table(
        {
            "event": ["Page View", "Log In", "Purchase"],
            "$device_id": ["D1", "D1", None],
            "$user_id": [None, "ben", "ben"],
        }
    )
    names = {"idmerge": idmerge, "pa": pa, "pl": pl, "pd": pd, "duckdb": duckdb, "events": events, "folder": tmp_path / "people"}
    test = doctest.DocTestParser().get_doctest(value.__doc__, names, name, None, None)
    if not hasattr(pd.DataFrame, "from_arrow") and name == "Table":
        pytest.skip("pandas before 3 has no from_arrow")
    result = doctest.DocTestRunner(verbose=False).run(test)
    assert result.failed == 0


def test_the_most_important_objects_have_examples():
    for value in (idmerge.resolve, idmerge.mapping, idmerge.own_ids, idmerge.claims, idmerge.Engine, idmerge.Table):
        assert ">>> " in value.__doc__


def block(text, language):
    start = text.index(f"```{language}\n") + len(language) + 4
    return text[start : text.index("```\n", start)]


def test_the_example_of_the_readme_works_as_it_is_written(monkeypatch, capsys):
    readme = (ROOT / "README.md").read_text()
    section = readme[readme.index("## In Python\n") :]
    monkeypatch.chdir(ROOT)
    names = {"__name__": "__main__"}
    exec(compile(block(section, "python"), "README.md", "exec"), names)
    assert capsys.readouterr().out.strip() == block(section, "text").strip()


def test_the_example_of_the_readme_of_the_package_works():
    exec(compile(block((ROOT / "python/README.md").read_text(), "python"), "python/README.md", "exec"), {})


def test_the_examples_of_the_documentation_work(monkeypatch, tmp_path, capsys):
    text = (ROOT / "docs/python.md").read_text()
    (tmp_path / "events.ndjson").write_bytes((ROOT / "examples/web-shop.ndjson").read_bytes())
    monkeypatch.chdir(tmp_path)
    names = {"datetime": datetime, "duckdb": duckdb, "idmerge": idmerge, "yesterday": idmerge.Engine("original").snapshot()}
    first = block(text, "python")
    exec(first, names)
    names["own"] = idmerge.own_ids(names["events"], engine="original")
    names["mapping"] = idmerge.mapping(names["events"], engine="original")
    rest = text[text.index(first) :].split("```", 1)[1]
    second = block(rest, "python")
    exec(second, names)
    numbered = names["events"].to_arrow_table()
    numbered = numbered.add_column(0, "seq", pa.array(range(len(numbered))))
    names.update(pa=pa, numbered=numbered, parts=[numbered.slice(0, 20), numbered.slice(20)], engine=idmerge.Engine("original"))
    exec(block(rest[rest.index(second) :].split("```", 1)[1], "python"), names)
    wanted = pa.table(idmerge.resolve(numbered, engine="original"))
    assert pa.table(names["resolved"]).select(wanted.column_names) == wanted and len(names["failures"]) == 1
    exec(block(text[text.index("## A store\n") :], "python"), names)
    assert capsys.readouterr().out == "these claims joined them\n" and len(names["changes"]) > 5
    exec(block(text[text.index("## Figures\n") :], "python"), names)
    assert capsys.readouterr().out == "3 users buy, and without the merge 0\n"
    assert idmerge.Engine.from_snapshot(names["today"], "original").mapping().columns == names["mapping"].columns
