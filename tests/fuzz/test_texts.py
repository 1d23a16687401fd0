"""Clauses X1 and X4: texts and specs that somebody mistyped, or made on purpose."""

import json
import os
import random
import re
import sys
from functools import reduce

import pytest

from moduli.errors import InvalidConfiguration, ModuliError
from moduli.manifolds import InvalidParameter, Manifold, Scaled, Torus, UnknownManifold, make
from moduli.manifolds.reading import read_manifold
from moduli.models import geometric_mask, regular_mask, rewired_mask, ring_mask
from moduli.regularizers import Diffusion, InvalidExpression, Regularizer, make_regularizer
from moduli.tasks.cli import main
from moduli.tasks.command_line.parsing import parse
from moduli.tasks.experiments.configuration.presets import preset
from moduli.tasks.experiments.configuration.settings import Configuration
from moduli.tasks.experiments.configuration.toml_files import read_toml, write_toml
from moduli.tasks.experiments.methods import Method, method
from moduli.tasks.experiments.runs.run import Run, readable
from tests.fuzz.mutations import mutated_json, mutated_text
from tests.fuzz.outcomes import CASES, Tally, attempt

HUGE = 10**5000
EXPRESSIONS = [
    "0.5*dog + 0.1*uniform",
    "(diffusion * gaussian(length=2.0)).normalized()",
    "ripple(frequency=3).permuted(0)",
    "communicability",
    "dog(inner=0.1, outer=2.0).clamped(0, 5)",
    "diffusion.with_diagonal(0.5)",
]
MANIFOLDS = [
    "torus",
    "torus(dim=6)",
    "sphere(dim=3, radius=2.0)",
    "geomstats(space='Hypersphere', dim=2)",
    "klein",
]
METHODS = [
    "dense",
    "none@layer@linear",
    "torus-diffusion",
    "permuted-klein-dog",
    "torus(dim=6):0.5*dog + 0.1*uniform",
    "pair-permuted-torus-dog@free-diagonal",
    "torus-diffusion@a-priori",
    "geomstats(space='Hypersphere', dim=2)-dog",
]
COMMANDS = [
    "run navigation --preset smoke --units 16 --seed 3",
    "compare adding --methods dense,none --seeds 2 --jobs 1",
    "compare navigation --sparsities 0.5,0.9 --learning-rate 0.001",
    "list methods",
    "check torus dim=2",
]


@pytest.fixture(autouse=True)
def nothing_is_run(monkeypatch):
    """Let whatever a text makes somebody run fail the test."""
    monkeypatch.setattr("os.system", lambda command: pytest.fail(f"a text ran {command}"))


def fuzz(kind, texts, read, accept):
    random_, tally = random.Random(kind), Tally(kind)
    for _ in range(CASES * 3):
        text = mutated_text(random_.choice(texts), random_)
        attempt(tally, repr(text)[:120], lambda text=text: read(text), accept)
    tally.require_none_silent()


def test_expressions():
    fuzz("expressions", EXPRESSIONS, make_regularizer, lambda made: isinstance(made, Regularizer))


def test_manifolds():
    fuzz("manifolds", MANIFOLDS, read_manifold, lambda made: isinstance(made, Manifold))


def test_methods():
    fuzz("methods", METHODS, method, lambda made: isinstance(made, Method))


def test_settings(tmp_path):
    base, path = preset("navigation", "smoke"), tmp_path / "settings.toml"

    def read(text):
        path.write_text(text)
        return read_toml(path, base)

    fuzz("settings", [write_toml(base)], read, lambda made: isinstance(made, Configuration))


def test_command_lines():
    random_, tally = random.Random(0), Tally("command lines")
    for _ in range(max(CASES // 2, 20)):
        words = random_.choice(COMMANDS).split()
        index = random_.randrange(len(words))
        words[index] = mutated_text(words[index], random_)
        attempt(tally, str(words)[:150], lambda words=words: parse(words), lambda made: made is not None)
    tally.require_none_silent()


@pytest.mark.parametrize("make_it", [make_regularizer, lambda spec: make(**spec)])
def test_specs(make_it):
    thing = 0.5 * Diffusion().permuted(1) if make_it is make_regularizer else Scaled(Torus(), 2.0)
    spec = thing.spec
    random_, tally = random.Random(1), Tally(f"specs of {spec['name']}")
    for _ in range(CASES * 2):
        what, text = mutated_json(spec, random_)
        changed = json.loads(text)
        if isinstance(changed, dict) and "name" in changed:
            attempt(
                tally, what, lambda changed=changed: make_it(changed),
                lambda made: isinstance(made, Regularizer | Manifold),
            )  # fmt: skip
    tally.require_none_silent()


@pytest.mark.parametrize(
    "name",
    [
        "geomstats(space='os\\x3asystem', command='id > pwn')-dog",
        "geomstats(space='subprocess:run', args='id')-dog",
    ],
)
def test_x1_no_method_calls_anything_but_a_space(name):
    with pytest.raises((InvalidParameter, LookupError)):
        method(name)


def test_x1_no_spec_calls_anything_but_a_space_or_imports_a_module():
    evil = {"name": "geomstats", "kwargs": {"space": "os:system", "command": "exit 1"}}
    for spec in (
        evil,
        {"name": "scaled", "kwargs": {"manifold": evil, "factor": 2.0}},
        {"name": "product", "kwargs": {"manifolds": [evil, evil]}},
    ):
        with pytest.raises(InvalidParameter, match="geomstats has no space called 'os:system'"):
            make(**spec)
    for name in ("antigravity:geohash", "this:s", "tests.fuzz.no_module:Class"):
        before = set(sys.modules)
        with pytest.raises(UnknownManifold, match="not imported, and a name imports nothing"):
            make(name)
        assert set(sys.modules) == before


def test_x1_a_class_that_is_imported_is_made_by_its_import_string():
    assert make("moduli.manifolds:Torus", dim=3) == Torus(3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dog({[1]})", "must be a number or another literal"),
        ("dog(inner=" + "9" * 27 + ")", "integer of 90 bits"),
        ("diffusion" + ".permuted(0)" * 300, "nested more than 64 deep"),
    ],
)
def test_x4_expressions_beyond_the_limits_are_named(text, message):
    with pytest.raises(InvalidExpression, match=message):
        make_regularizer(text)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x = " + 5000 * "[", "cannot be read as TOML"),
        ("[task]\nunits = " + 900 * "[" + 900 * "]", "units must be|cannot be read as TOML"),
        ("[task]\nunits" + 3000 * ".a" + " = 1", "units must be"),
        ("[training]\nsteps = 0x" + 20000 * "f", "an integer of 80000 bits"),
        ("[training]\noptimizer = 0x" + 20000 * "f", "an integer of 80000 bits"),
        ("[training]\nlearning_rate = inf", "a finite number"),
    ],
)
def test_x4_settings_beyond_the_limits_are_named(tmp_path, content, message):
    path = tmp_path / "settings.toml"
    path.write_text(content)
    with pytest.raises(InvalidConfiguration, match=message):
        read_toml(path, preset("navigation", "smoke"))


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("run navigation --preset= --print-config", "No preset|no preset"),
        ("run adding --preset smoke --seed -1 --out OUT", "seed must be a whole number"),
        ("run adding --preset smoke --device meta --out OUT --no-verify", "cannot be used here"),
        ("run adding --preset smoke --device hpu --out OUT --no-verify", "cannot be used here"),
        ("run adding --preset smoke --units 1000000000 --out OUT", "at most 100,000,000"),
        ("check torus --kwargs name=3", "has no parameter 'name'"),
        ("check torus --kwargs cls=3", "has no parameter 'cls'"),
        ("check os:environ", "object of type _Environ"),
        ("report OUT/" + 300 * "x", "cannot be read"),
        ("report \udcff", "is not text"),
        (f"check torus --kwargs dim={'[' * 5000}", "must be a positive integer"),
    ],
)
def test_x4_commands_end_in_a_sentence(tmp_path, capsys, command, message):
    with pytest.raises(SystemExit) as stop:
        main([word.replace("OUT", str(tmp_path)) for word in command.split()])
    assert stop.value.code == 2
    printed = capsys.readouterr().err
    assert re.search(message, printed)
    assert os.environ["PATH"] not in printed


def test_a_method_s_name_never_leaves_the_folder(tmp_path):
    folder = readable("adding-smoke-torus:dog # /../../../../../tmp/escaped-seed-0")
    assert "/" not in folder
    run = Run(preset("adding", "smoke"), "torus:" + "+".join(60 * ["dog"]), 0, tmp_path)
    assert len(run.folder.name) < 255


@pytest.mark.parametrize(
    "call",
    [
        lambda: ring_mask(8, sparsity=HUGE),
        lambda: rewired_mask(ring_mask(8, sparsity=0.5), share=HUGE),
        lambda: geometric_mask("dog", "torus", Torus().random_point(4), sparsity=HUGE),
        lambda: ring_mask(2**40, sparsity=0.5),
        lambda: regular_mask(HUGE, sparsity=0.5),
        lambda: Torus().random_point(HUGE),
        lambda: Torus().random_point(2**40),
        lambda: HUGE * Diffusion(),
        lambda: Diffusion() + HUGE,
        lambda: make("geomstats", kwargs={"space": "Hypersphere", "dim": 2, "self": 1}),
        lambda: make("os:environ"),
    ],
)
def test_x4_numbers_and_names_beyond_all_bounds_are_named(call):
    with pytest.raises(ModuliError) as caught:
        call()
    assert os.environ["PATH"] not in str(caught.value)


def test_x4_deep_specs_are_named():
    spec = Torus().spec
    for _ in range(2000):
        spec = {"name": "scaled", "kwargs": {"manifold": spec, "factor": 1.0}}
    with pytest.raises(InvalidParameter, match="nested more than 64 deep"):
        make(**spec)
    spec = Diffusion().spec
    for _ in range(2000):
        spec = {"name": "normalized", "kwargs": {"regularizer": spec}}
    with pytest.raises(InvalidParameter, match="nested more than 64 deep"):
        make_regularizer(spec)
    with pytest.raises(InvalidParameter, match="nested more than 64 deep"):
        reduce(lambda regularizer, _: regularizer.normalized(), range(100), Diffusion())


def test_a_reader_that_accepts_anything_is_caught():
    with pytest.raises(AssertionError, match="silent"):
        fuzz("planted", EXPRESSIONS, lambda text: text, lambda made: isinstance(made, Regularizer))
    with pytest.raises(AssertionError, match="traceback"):
        fuzz("planted", EXPRESSIONS, lambda text: eval(text, {"dog": 1}), lambda made: True)
