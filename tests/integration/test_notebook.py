"""The example notebook, executed by a real kernel; it is kept without outputs."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parents[2] / "examples" / "python.ipynb"


def test_it_is_kept_without_outputs() -> None:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert {(cell["execution_count"], len(cell["outputs"])) for cell in cells if cell["cell_type"] == "code"} == {
        (None, 0)
    }


def test_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient = pytest.importorskip("nbclient")
    import nbformat  # noqa: PLC0415  (comes with nbclient)

    for name, value in {"OMP_NUM_THREADS": "1", "IPYTHONDIR": tmp_path / "ipython"}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(NOTEBOOK.parents[1] / "src"), os.environ.get("PYTHONPATH", "")])
    )
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    shown = [_shown(cell) for cell in notebook.cells if cell.cell_type == "code"]
    assert shown[0]["text/plain"].startswith("<PairedSplit: train: 24 pairs")
    assert "finished at step 60 of 60" in shown[1]["text/plain"]
    assert "<Translator: tandem AtoB, trained at 32×32 px for 60 steps" in shown[3]["text/plain"]
    assert "image/png" in shown[4]
    assert "may be in [0, 1] or in [-1, 1]" in shown[5]["text"]
    assert "True\n6 (32, 32)\n" in shown[5]["text"]
    assert shown[6]["text/plain"] == "('callback', 80)"
    assert (tmp_path / "notebook" / "run" / "csv" / "validation.csv").is_file()


def _shown(cell: Any) -> dict[str, str]:
    """What a cell shows, by kind; ``text`` is what it prints."""
    found = {"text": "".join(output.text for output in cell.outputs if output.output_type == "stream")}
    for output in cell.outputs:
        found |= output.get("data", {})
    return found
