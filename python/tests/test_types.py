"""The type stubs say what the package has."""

import importlib.util
import pathlib
import subprocess
import sys

import idmerge
import pytest

needs_mypy = pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="mypy is not installed")


def check(*arguments, cwd):
    return subprocess.run([sys.executable, "-m", *arguments], cwd=cwd, capture_output=True, text=True)


@needs_mypy
def test_the_stubs_have_what_the_package_has(tmp_path):
    # The protocols and the aliases of the stubs are types alone.
    allowed = tmp_path / "allowed"
    types = ("ArrowStream", "LazyFrame", "Settings", "Events", "EngineName", "OnInvalid", "Ingested", "Retracted")
    names = [f"idmerge._idmerge.{name}" for name in types]
    # What runs on Spark is checked where Spark is. The private modules have no stubs.
    names += [r"idmerge\.spark", r"idmerge\._spark_.*", r"idmerge\.spark\..*"]
    allowed.write_text("".join(f"{name}\n" for name in names))
    settings = tmp_path / "mypy.ini"
    settings.write_text("[mypy]\nignore_missing_imports = True\n")
    # pyo3 gives the classes their comparison and their representation without saying so in a signature.
    done = check("mypy.stubtest", "idmerge", "--ignore-missing-stub", "--allowlist", str(allowed), "--ignore-unused-allowlist", "--mypy-config-file", str(settings), cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_mypy
def test_a_program_is_checked(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        """
import idmerge, pyarrow as pa
from typing import Any
events: Any = pa.table({"event": ["A"]})
resolved = idmerge.resolve(events, engine="simplified", settings={"max_id_bytes": 9})
users: int | None = resolved.summary.users_after
one: str = resolved.engine.resolve("a")
idmerge.resolve(events, engine="simplifed")  # expect
idmerge.Engine("original", max_cluster_id=3)  # expect
resolved.summary.user_after  # expect
idmerge.resolve(["events.parquet"], engine="original")  # expect
idmerge.resolve("events.parquet", engine="original")
"""
    )
    done = check("mypy", "--ignore-missing-imports", str(program), cwd=tmp_path)
    wrong = [n for n, line in enumerate(program.read_text().splitlines(), 1) if "# expect" in line]
    found = sorted({int(line.split(":")[1]) for line in done.stdout.splitlines() if "error:" in line})
    assert found == wrong, done.stdout


def test_the_package_says_that_it_has_types():
    assert (pathlib.Path(idmerge.__file__).parent / "py.typed").is_file()
