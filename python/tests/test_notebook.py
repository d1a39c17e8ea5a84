"""The notebook of the examples shows what it computes."""

import os

import nbclient
import nbformat
import pytest
from conftest import ROOT

NOTEBOOK = ROOT / "examples/funnel.ipynb"


def shown(notebook):
    """What each cell shows: texts as they are, and that there is a picture."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    shown = []
    for cell in cells:
        for output in cell.outputs:
            data = output.get("data", {})
            shown.append((output.get("text") or data.get("text/plain"), "image/png" in data))
    return shown


# The libraries that run a notebook warn of each other.
@pytest.mark.filterwarnings("default")
def test_the_notebook_shows_what_it_computes(command, monkeypatch):
    monkeypatch.setenv("IDMERGE", str(command))
    notebook = nbformat.read(NOTEBOOK, 4)
    committed = shown(notebook)
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3", record_timing=False).execute()
    if os.environ.get("IDMERGE_UPDATE_NOTEBOOK"):
        for cell in notebook.cells:
            for output in cell.get("outputs", []):
                # The text says the same, and shorter.
                output.get("data", {}).pop("text/html", None)
        nbformat.write(notebook, NOTEBOOK)
        return
    assert shown(notebook) == committed
    assert [picture for _, picture in committed].count(True) == 1
    assert NOTEBOOK.stat().st_size < 200_000
