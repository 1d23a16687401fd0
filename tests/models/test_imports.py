"""What small things do not import: libraries that take longer than they do."""

import subprocess
import sys

CODE = """
import sys
import torch
import torch.utils.checkpoint  # imports sympy itself, in PyTorch 2.6
before = set(sys.modules)
from moduli.manifolds import Torus
from moduli.models import Sparsifier
from moduli.regularizers import penalty

assert "scipy.stats" not in sys.modules
points = Torus().random_point(5).requires_grad_()
Torus().pairwise(points).sum().backward()
sparsifier = Sparsifier(torch.nn.RNN(3, 8), "dog", "torus", sparsity=0.5)
sparsifier.penalty().backward()
assert not {"sympy", "torch._dynamo", "hypothesis"} & (sys.modules.keys() - before)
"""


def test_a_handful_of_neurons_needs_no_statistics_no_compiler_and_no_algebra():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
