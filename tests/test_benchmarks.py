"""What is prepared for accelerators works at toy size on a CPU."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run(*arguments):
    process = subprocess.run(
        [sys.executable, "-W", "ignore", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    return process.stdout


def test_every_part_for_accelerators_works_on_a_cpu(tmp_path):
    run(ROOT / "benchmarks" / "accelerator.py", "--device", "cpu", "--toy", "--out", tmp_path)
    found = json.loads((tmp_path / "results.json").read_text())
    assert found["finished"]
    assert [row["check"] for row in found["checks"] if not row["holds"]] == []
    assert len(found["checks"]) > 40
    for part in ("distances", "penalties", "fast modules", "navigation"):
        assert found[part]
        assert not [row for row in found[part] if "failed" in row]
    losses = [(row["loss"], row["minimal loss"]) for row in found["navigation"]]
    assert all(abs(ours - theirs) < 0.1 for ours, theirs in losses)
    assert "| check | holds |" in (tmp_path / "results.md").read_text()


def test_the_published_tables_are_trained_piece_by_piece(tmp_path):
    script = ROOT / "benchmarks" / "published.py"
    common = ("--device", "cpu", "--preset-name", "smoke", "--methods", "none", "--precision", "32-true")
    cut = run(script, *common, "--minutes", 0.0, "--out", tmp_path)
    assert "the same command goes on" in cut
    whole = run(script, *common, "--minutes", 5, "--out", tmp_path)
    assert "none, trained:" in whole
    assert "of the way from the floor to standing still" in whole
