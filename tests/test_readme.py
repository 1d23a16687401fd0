"""The README's Python examples run as they stand."""

import re
from pathlib import Path

import pytest

from moduli.manifolds import registry

README = (Path(__file__).parents[1] / "README.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=["manifold", "sparsifier"])
def test_examples(example, monkeypatch, capsys):
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    names = {}
    exec(example, names)
    if "sparsifier" in names:
        assert float(capsys.readouterr().out) == pytest.approx(0.9, abs=1 / (4 * 64 * 64))
