"""The page about one's own manifolds runs from top to bottom."""

import re
from pathlib import Path

from moduli.manifolds import registry

PAGE = Path(__file__).parent.parent / "docs" / "bring-your-own-manifold.md"


def test_the_page_runs(monkeypatch, capsys):
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    text = PAGE.read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    namespace = {"__name__": "page"}
    for block in blocks:
        exec(block, namespace)
    shown = re.search(r"```text\n(Squared.*?)\.\.\.\n```", text, re.DOTALL)
    assert capsys.readouterr().out.startswith(shown.group(1))
    assert len(blocks) >= 7


def test_the_page_lists_every_clause():
    from moduli.manifolds.testing import CLAUSES

    rows = re.findall(r"^\| (\d+) (\S+) \|", PAGE.read_text(), re.MULTILINE)
    assert rows == [(str(clause.number), clause.name) for clause in CLAUSES.values()]
