"""Errors that say what to do about the commonest mistakes of a first hour."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from moduli.errors import PluginError
from moduli.manifolds import UnknownManifold, make
from moduli.models import Sparsifier
from moduli.plugins import import_string
from moduli.regularizers import ShapeMismatch


def test_arguments_in_a_name_become_keywords():
    with pytest.raises(UnknownManifold, match=r"make\('torus', dim=3\)"):
        make("torus(dim=3)")


def test_an_unknown_name_says_how_one_of_one_s_own_gets_there():
    with pytest.raises(UnknownManifold, match=r"registered first: by an import, or by an installed plugin"):
        make("eight")


@pytest.mark.parametrize(("module", "gates"), [(nn.GRU(2, 10), 3), (nn.LSTM(2, 10), 4)])
def test_a_mask_of_one_gate_says_how_to_repeat_it(module, gates):
    mask = torch.ones(10, 10, dtype=torch.bool)
    with pytest.raises(ShapeMismatch, match=rf"stacks {gates} gates: pass mask.repeat\({gates}, 1\)"):
        Sparsifier(module, masks={"weight_hh_l0": mask})
    Sparsifier(module, masks={"weight_hh_l0": mask.repeat(gates, 1)})


def test_another_shape_gets_no_such_advice():
    with pytest.raises(ShapeMismatch, match=r"the weight \(30, 10\)\.$"):
        Sparsifier(nn.GRU(2, 10), masks={"weight_hh_l0": torch.ones(7, 10, dtype=torch.bool)})


def test_a_module_that_is_not_there_names_the_path():
    with pytest.raises(PluginError, match=r"No module named 'absent_module'; .* PYTHONPATH=\."):
        import_string("absent_module:Thing", "'absent_module:Thing'")
    with pytest.raises(PluginError, match=r"no attribute 'Thing'\.$"):
        import_string("math:Thing", "'math:Thing'")


def test_a_class_of_a_script_is_reproduced_by_its_constructor(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from moduli.manifolds import Manifold\n"
        "from moduli.manifolds.verification.search import constructor\n"
        "class Line(Manifold):\n"
        "    point_shape = (1,)\n"
        "    def distance(self, x, y): return (x - y).abs().squeeze(-1)\n"
        "    def random_point(self, n, generator=None): raise NotImplementedError\n"
        "print(constructor(Line()))\n"
    )
    process = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "Line()"
