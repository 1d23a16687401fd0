"""The page about figures and barcodes runs from top to bottom, and shows what it prints."""

import re
from pathlib import Path

import torch

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_runs_and_its_pictures_exist(capsys):
    page = (DOCS / "see-the-geometry.md").read_text()
    names = {}
    blocks = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    assert len(blocks) >= 8
    torch.manual_seed(0)
    for block in blocks:
        exec(block, names)
    shown = re.search(r"```text\n(.*?)```", page, flags=re.DOTALL)
    assert shown.group(1) in capsys.readouterr().out
    assert names["loop_only"].betti[1] > 0
    for link in re.findall(r"\]\(([^)#]+)\)", page):
        assert link.startswith("https:") or (DOCS / link).exists(), link
