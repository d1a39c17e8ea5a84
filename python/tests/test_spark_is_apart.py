"""Whoever has no Spark does not notice that the package has a part for it."""

import importlib
import subprocess
import sys

import pytest


def test_the_package_loads_neither_spark_nor_pyarrow():
    code = "import sys, idmerge; assert not any(name.startswith(('pyspark', 'pyarrow')) for name in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_without_spark_the_error_says_what_to_install(monkeypatch):
    for name in [name for name in sys.modules if name.startswith(("pyspark", "idmerge.spark"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyspark", None)
    with pytest.raises(ImportError, match=r"pip install 'pyspark>=4' pyarrow pandas"):
        importlib.import_module("idmerge.spark")
