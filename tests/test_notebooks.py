"""The notebooks of docs/notebooks run from top to bottom; the site shows them as they ran."""

import re
import sys
import types
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from moduli.manifolds.registry import MANIFOLDS

NOTEBOOKS = sorted((Path(__file__).parents[1] / "docs" / "notebooks").glob("*.md"))
CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def cells(path):
    found = CELL.findall(path.read_text())
    assert len(found) == path.read_text().count("{code-cell}")
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, monkeypatch, tmp_path):
    monkeypatch.setattr(MANIFOLDS, "_entries", MANIFOLDS.snapshot())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    module = types.ModuleType("notebook")
    monkeypatch.setitem(sys.modules, "notebook", module)
    plt.switch_backend("agg")
    for number, cell in enumerate(cells(path), start=1):
        exec(compile(cell, f"{path.name}, cell {number}", "exec"), module.__dict__)
        plt.close("all")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_says_how_to_install_and_can_be_downloaded(path):
    introduction = path.read_text().partition("```{code-cell}")[0]
    assert "pip install" in introduction
    assert f"{{nb-download}}`this notebook <{path.stem}.ipynb>`" in introduction


def test_the_notebooks_lead_from_one_to_the_next():
    linked = {name for path in NOTEBOOKS for name in re.findall(r"\]\(([\w-]+\.md)\)", path.read_text())}
    assert linked == {path.name for path in NOTEBOOKS} - {"a-space-of-your-own.md"}
