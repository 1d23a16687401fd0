"""Things of a user's own in comparisons: in other processes, and as part of who a run is."""

import functools
import subprocess
import sys
from pathlib import Path

import pytest

from moduli.manifolds import Manifold, register
from moduli.manifolds.registry import MANIFOLDS
from moduli.models import community_mask
from moduli.models.masks.registry import MASK_FAMILIES, register_mask_family
from moduli.regularizers import Diffusion, register_regularizer
from moduli.regularizers.registry import REGULARIZERS
from moduli.tasks import preset
from moduli.tasks.errors import LeftOut
from moduli.tasks.experiments.runs.extensions import extensions, register_extensions
from moduli.tasks.experiments.runs.run import Run
from moduli.tasks.report import write_report

SCRIPT = '''
import sys
from dataclasses import replace
from pathlib import Path

import torch

from moduli.manifolds import Manifold, register
from moduli.tasks import preset
from moduli.tasks.experiments.comparisons.comparison import Comparison
from moduli.tasks.experiments.configuration.execution import Execution


@register("interval")
class Interval(Manifold):
    """Numbers from 0 to 1."""

    point_shape = (1,)

    def distance(self, x, y):
        return (x - y).abs().squeeze(-1) * SCALE

    def random_point(self, n, generator=None):
        return torch.rand(n, 1, generator=generator)


if __name__ == "__main__":
    small = preset("navigation", "smoke")
    small = replace(
        small,
        task=replace(small.task, units=12, cells=10, walk_length=4, test_walks=20),
        training=replace(small.training, steps=4, batch=4),
    )
    methods = ["dense", "interval-diffusion"]
    comparison = Comparison(small, methods, [0], Path(sys.argv[1]), "mine")
    if "train" in sys.argv:
        comparison.summarize(comparison.carry_out(2, Execution(verify=False)))
    print(*[run.folder.name for run in comparison.runs])
'''


@pytest.fixture
def clean_registry():
    before = MANIFOLDS.snapshot()
    yield
    MANIFOLDS.restore(before)


def networks(folder, scale, *words):
    """Return the folders of the networks of a comparison on a space that a script defines."""
    script = folder / "own_space.py"
    script.write_text(SCRIPT.replace("SCALE", scale))
    process = subprocess.run(
        [sys.executable, "-W", "ignore", script, folder / "runs", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return set(process.stdout.split())


def test_a_space_of_a_script_is_known_to_its_workers_and_trained_again_when_its_formula_changes(tmp_path):
    first = networks(tmp_path, "1.0", "train")
    assert first == {path.name for path in (tmp_path / "runs" / "networks").iterdir()}
    changed = networks(tmp_path, "2.0") - first
    assert len(changed) == 1
    assert "interval" in changed.pop()
    with pytest.warns(LeftOut, match="lacks the distances of interval-diffusion 90%: No manifold is called"):
        page = write_report([tmp_path / "runs" / "mine"], None)
    assert "interval-diffusion" in Path(page).read_text()


def test_a_thing_is_as_another_process_knows_it(clean_registry):
    @register("somewhere")
    class Somewhere(Manifold):
        """Anywhere."""

        point_shape = (1,)

        def distance(self, x, y):
            return (x - y).abs().squeeze(-1)

        def random_point(self, n, generator=None):
            raise NotImplementedError

    settings = preset("navigation", "smoke").task
    (own,) = extensions("permuted-somewhere-diffusion", settings)
    assert own[:3] == ("manifold", "somewhere", Somewhere)
    assert own.digest is not None
    assert not extensions("torus-diffusion", settings)
    MANIFOLDS.restore({})
    register_extensions([own])
    assert MANIFOLDS.get("somewhere") is Somewhere


def test_a_partial_function_and_a_class_that_was_put_together_are_somebody_s_own():
    settings = preset("navigation", "smoke").task
    before = MASK_FAMILIES.snapshot(), REGULARIZERS.snapshot()
    try:
        digests = []
        for count in (3, 4, 3):
            family = functools.partial(community_mask, communities=count)
            register_mask_family("some", override=True)(family)
            (own,) = extensions("some@a-priori", settings)
            assert own[:3] == ("mask family", "some", family)
            digests.append(own.digest)
        assert digests[0] == digests[2] != digests[1]
        register_regularizer("made")(type("Made", (Diffusion,), {"__doc__": "Made."}))
        assert [each.name for each in extensions("torus-made", settings)] == ["made"]
    finally:
        MASK_FAMILIES.restore(before[0])
        REGULARIZERS.restore(before[1])


BASE = """
import installed
from adding_helpers import *
try:
    import blocked.deeper
except ImportError:
    pass
from moduli.tasks.adding.task import Adding

class Longer(Adding):
    FACTOR = 1
"""

TASK = """
from dataclasses import dataclass
from typing import ClassVar

from adding_base import Longer
from moduli.tasks.adding.settings import AddingSettings

@dataclass(frozen=True)
class OwnSettings(AddingSettings):
    \"\"\"A task that no registry knows.\"\"\"

    name: ClassVar[str] = "own-adding"
    task: ClassVar[str] = "own_adding:Own"

class Own(Longer):
    def on_occasion(self):
        import later
        import unreadable
        from ... import nothing
"""


@pytest.mark.parametrize(
    "changed",
    [
        "adding_base",
        "own_adding",
        "adding_helpers",
        "lengths.__init__",
        "lengths.scale",
        "later",
        "unreadable",
    ],
)
def test_the_source_of_a_task_by_import_string_and_of_all_that_it_builds_on_is_part_of_who_a_run_is(
    tmp_path, monkeypatch, changed
):
    sources = {
        "adding_base": BASE,
        "own_adding": TASK,
        "adding_helpers": "import lengths.scale\n",
        "lengths.__init__": "",
        "lengths.scale": "from .scale import *\n",  # imports itself
        "later": "raise AssertionError('Nobody imports this.')\n",
        "unreadable": "print 'Python 2'\n",
        "site-packages.installed": "SCALE = 1\n",
    }

    def code(folder, sources):
        for name, source in sources.items():
            path = folder / f"{name.replace('.', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)
            module = name.removesuffix(".__init__").removeprefix("site-packages.")
            monkeypatch.delitem(sys.modules, module, raising=False)
        monkeypatch.syspath_prepend(folder)
        monkeypatch.syspath_prepend(folder / "site-packages")
        monkeypatch.setitem(sys.modules, "blocked", None)
        configuration = preset("own_adding:OwnSettings", "smoke")
        (task,) = extensions("torus-diffusion", configuration.task)
        assert task.name == "own_adding:OwnSettings"
        return Run(configuration, "torus-diffusion", 0, tmp_path).identity["code"]

    before = code(tmp_path / "before", sources)
    assert list(before) == ["task own_adding:OwnSettings"]
    sources["site-packages.installed"] += "\nSCALE = 2\n"
    assert code(tmp_path / "same", sources) == before
    exchanged = sources | {"later": sources["unreadable"], "unreadable": sources["later"]}
    assert code(tmp_path / "exchanged", exchanged) != before
    sources[changed] += "\nSCALE = 2\n"
    assert code(tmp_path / "after", sources) != before


def test_runs_of_the_library_s_own_things_are_who_they_were(tmp_path):
    assert "code" not in Run(preset("navigation", "smoke"), "torus-diffusion", 0, tmp_path).identity
