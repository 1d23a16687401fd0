"""The Python of the README, and of the page on sparsifying a model, runs as it stands."""

import re
import sys
import types
from pathlib import Path

import pytest
import torch

from moduli.manifolds import registry

ROOT = Path(__file__).parents[1]


def examples(page):
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), flags=re.DOTALL)


@pytest.mark.parametrize("example", examples("README.md"), ids=["manifold", "sparsifier"])
def test_the_readme_s_examples(example, monkeypatch, capsys):
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    names = {}
    exec(example, names)
    if "sparsifier" in names:
        assert float(capsys.readouterr().out) == pytest.approx(0.9, abs=1 / (4 * 64 * 64))


@pytest.mark.filterwarnings("ignore::lightning.fabric.utilities.warnings.PossibleUserWarning")
@pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated:FutureWarning")
def test_the_page_on_sparsifying_a_model(capsys):
    names = {}
    for example in examples("docs/sparsify-your-own-model.md"):
        exec(example, names)
    report = capsys.readouterr().out
    assert "rnn.weight_hh_l0: 192 x 64, 90.00% zeros" in report
    assert "total: 90.0" in report
    assert names["callback"].sparsifier.steps_taken == 4
    assert torch.equal(names["mask"], names["sparse_from_the_start"].masks["weight_hh_l0"])


def test_the_page_on_comparing_methods(capsys, monkeypatch):
    page = types.ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", page)
    (example,) = examples("docs/compare-methods.md")
    exec(example, page.__dict__)
    rows = page.summary["rows"]
    assert [row["method"] for row in rows] == ["dense", "none", "torus-dog"]
    assert rows[0]["trained"][0] < 0.1 * page.summary["references"]["predicting zero"][0]
    assert "torus-dog" in capsys.readouterr().out
