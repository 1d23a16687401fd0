"""Clauses X2 and X3: files of runs that were damaged, altered, swapped, or replaced by something else."""

import json
import os
import random
import shutil
import struct
import subprocess
import sys
import zlib
from dataclasses import replace

import pytest
import torch

from moduli.models import files as tensor_files
from moduli.models.errors import CannotStore, StateMismatch
from moduli.models.sparsifier import Sparsifier
from moduli.tasks.errors import CannotWrite, DamagedFile, NothingToReport, RunMismatch
from moduli.tasks.experiments.comparisons.comparison import Comparison
from moduli.tasks.experiments.comparisons.summary import Summary
from moduli.tasks.experiments.configuration.execution import Execution
from moduli.tasks.experiments.configuration.settings import Configuration, PruningSettings, TrainingSettings
from moduli.tasks.experiments.protocol import carry_out
from moduli.tasks.experiments.runs import files
from moduli.tasks.experiments.runs.metrics import read_metrics
from moduli.tasks.experiments.runs.run_folder import FINISHED
from moduli.tasks.experiments.runs.stages import STAGES
from moduli.tasks.figures.comparison import draw_comparison
from moduli.tasks.navigation.settings import NavigationSettings
from moduli.tasks.navigation.task import Navigation
from moduli.tasks.report.contents import read_contents
from tests.fuzz.mutations import mutated_bytes, mutated_json
from tests.fuzz.outcomes import CASES, Tally, attempt

pytestmark = pytest.mark.xdist_group("files")  # one process makes what all share

TINY = Configuration(
    NavigationSettings(units=8, cells=6, walk_length=4, test_walks=10),
    TrainingSettings(steps=6, batch=4, learning_rate=0.01, log_interval=3),
    PruningSettings(sparsity=0.75, strength=1.0),
)
STAGE_FILES = ("config.json", *FINISHED, "checkpoint.safetensors")


class Killed(BaseException):
    """Stands for a signal."""


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    """A comparison of one method with two seeds, with figures, and a checkpoint beside each result."""
    out = tmp_path_factory.mktemp("out")
    comparison = Comparison(TINY, ["torus-diffusion"], [0, 1], out, "table")
    original = Navigation.loss
    for run in comparison.runs:
        calls = iter([None] * 4)

        def mortal(self, model, batch, calls=calls):
            if next(calls, Killed) is Killed:
                raise Killed
            return original(self, model, batch)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Navigation, "loss", mortal)
            with pytest.raises(Killed):
                carry_out(run, Execution(checkpoint_seconds=0.0))
        checkpoint = (run.stage("trained") / "checkpoint.safetensors").read_bytes()
        carry_out(run)
        (run.stage("trained") / "checkpoint.safetensors").write_bytes(checkpoint)
    summary = comparison.summarize([carry_out(run) for run in comparison.runs])
    draw_comparison(comparison, summary)
    for run in comparison.runs:  # a finished stage drops its checkpoint when it is claimed
        source = next(out.rglob("checkpoint.safetensors"), None)
        assert source is None or run.stage("trained") == source.parent
    return comparison


@pytest.fixture
def copy(experiment, tmp_path):
    """The same experiment in a folder of the test's own."""
    shutil.copytree(experiment.out, tmp_path / "out")
    return replace(experiment, out=tmp_path / "out")


def read_stage(comparison, stage="trained", seed=0):
    """Return all that is read of a stage."""
    folder = comparison.run("torus-diffusion", 0.75, seed).open(stage)
    tensors = {name: folder.load_tensors(name) for name in ("weights", "sparsifier")}
    return folder.result(), tensors


def read_checkpoint(comparison):
    """Return what a checkpoint holds."""
    return comparison.run("torus-diffusion", 0.75, 0).open("trained").load_tensors("checkpoint")


def read_page(comparison):
    """Return all that a report says."""
    return read_contents(comparison.folder)


def same(one, other):
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def says_so(before, name):
    """Return what tells whether a page is as it was, or says that a file was changed."""
    wanted = "changed after they were written" if name == files.SUMS else name
    return lambda page: "named" if wanted in page.facts["files"] else page == before


def says_that_nothing_vouches(before):
    """Return what tells whether a page is as it was, or says that its table has no checksum."""
    return lambda page: "named" if "without checksums" in page.facts["files"] else page == before


@pytest.mark.parametrize("name", ["config.json", *FINISHED])
def test_damaged_files_of_a_run(copy, name):
    before, path = read_stage(copy), copy.run("torus-diffusion", 0.75, 0).stage("trained") / name
    content, random_, tally = path.read_bytes(), random.Random(name), Tally(f"bytes of {name}")
    for _ in range(CASES):
        what, changed = mutated_bytes(content, random_)
        path.write_bytes(changed)
        attempt(tally, what, lambda: read_stage(copy), lambda value: same(value, before))
    tally.require_none_silent()


@pytest.mark.parametrize("name", ["config.json", "results.json"])
def test_altered_json_of_a_run(copy, name):
    before, path = read_stage(copy), copy.run("torus-diffusion", 0.75, 0).stage("trained") / name
    stored, random_, tally = json.loads(path.read_text()), random.Random(name), Tally(f"values of {name}")
    for _ in range(CASES):
        what, changed = mutated_json(stored, random_)
        path.write_text(changed)
        attempt(
            tally, what, lambda: read_stage(copy),
            lambda value, changed=changed: same(value, before) and json.loads(changed) == stored,
        )  # fmt: skip
    tally.require_none_silent()


@pytest.mark.parametrize("name", ["results.json", "results.csv", "figures/shape.png", "SHA256SUMS"])
def test_damaged_files_under_a_report(copy, name):
    before, path = read_page(copy), copy.folder / name
    content, random_, tally = path.read_bytes(), random.Random(name), Tally(f"report: {name}")
    for _ in range(max(CASES // 4, 12)):
        what, changed = mutated_bytes(content, random_)
        path.write_bytes(changed)
        attempt(tally, what, lambda: read_page(copy), says_so(before, name.partition("/")[0]))
    if name == "results.json":
        for _ in range(CASES):
            what, text = mutated_json(json.loads(content), random_)
            path.write_text(text)
            attempt(tally, what, lambda: read_page(copy), says_that_nothing_vouches(before))
    tally.require_none_silent()


@pytest.mark.parametrize("name", STAGE_FILES)
@pytest.mark.parametrize("origin", ["another seed", "another stage", "another file"])
def test_a_file_from_elsewhere_is_named(copy, name, origin):
    own = copy.run("torus-diffusion", 0.75, 0)
    source = {
        "another seed": copy.run("torus-diffusion", 0.75, 1).stage("trained") / name,
        "another stage": own.stage("ticket") / name,
        "another file": own.stage("trained")
        / ("weights.safetensors" if "sp" in name else "sparsifier.safetensors"),
    }[origin]
    if not source.exists() or name == "checkpoint.safetensors":
        source = own.stage("trained") / "weights.safetensors"
    shutil.copy(source, own.stage("trained") / name)
    read = read_checkpoint if name == "checkpoint.safetensors" else read_stage
    with pytest.raises((DamagedFile, RunMismatch)):
        read(copy)


@pytest.mark.parametrize("name", ["config.json", *FINISHED])
@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_is_not_a_plain_file_is_named_and_not_waited_for(copy, name, kind):
    path = copy.run("torus-diffusion", 0.75, 0).stage("trained") / name
    path.unlink()
    path.mkdir() if kind == "folder" else os.mkfifo(path)
    with pytest.raises(DamagedFile, match=rf"{name.replace('.', '.')} is not a plain file"):
        carry_out(copy.run("torus-diffusion", 0.75, 0))


@pytest.mark.parametrize("name", FINISHED)
def test_the_advice_to_delete_a_file_and_run_again_works(copy, name):
    run = copy.run("torus-diffusion", 0.75, 0)
    expected = {stage: run.open(stage).load_tensors("weights") for stage in STAGES}
    path = run.stage("trained") / name
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DamagedFile, match="delete it and run the command again"):
        read_stage(copy)
    path.unlink()
    carry_out(run)
    assert same({stage: run.open(stage).load_tensors("weights") for stage in STAGES}, expected)


def test_a_folder_of_an_earlier_version_is_read_and_says_that_it_has_no_sums(copy):
    before = read_page(copy)
    assert before.facts["files"] == "as their checksums say"
    strip_sums(copy)
    assert read_stage(copy)[0].sha256 is None
    page = read_page(copy)
    assert "without checksums" in page.facts["files"]
    assert page.tables == before.tables


def test_one_file_that_lost_its_sum_is_named(copy):
    path = copy.run("torus-diffusion", 0.75, 0).stage("trained") / "results.json"
    stored = json.loads(path.read_text())
    del stored["sha256"]
    path.write_text(json.dumps(stored))
    with pytest.raises(DamagedFile, match="no checksum, though it was written with one"):
        read_stage(copy)


def test_a_changed_figure_is_named_on_the_page(copy):
    path = copy.folder / "figures" / "shape.png"
    path.write_bytes((copy.folder / "figures" / "weights.png").read_bytes())
    assert read_page(copy).facts["files"] == "changed after they were written: figures/shape.png"


def test_a_network_of_another_seed_in_its_place_is_named(copy):
    runs = [copy.run("torus-diffusion", 0.75, seed).folder for seed in (0, 1)]
    shutil.rmtree(runs[0])
    shutil.copytree(runs[1], runs[0])
    with pytest.raises(DamagedFile, match="with seed 1 instead of torus-diffusion with seed 0"):
        read_page(copy)
    with pytest.raises(RunMismatch, match="seed is 1 there, 0 here"):
        read_stage(copy)


def test_altered_checkpoints_are_not_gone_on_with(tmp_path):
    run = replace(Comparison(TINY, ["none"], [0], tmp_path, "table")).run("none", 0.75, 0)
    original, calls = Navigation.loss, iter([None] * 4)

    def mortal(self, model, batch):
        if next(calls, Killed) is Killed:
            raise Killed
        return original(self, model, batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Navigation, "loss", mortal)
        with pytest.raises(Killed):
            carry_out(run, Execution(checkpoint_seconds=0.0))
    path = run.stage("trained") / "checkpoint.safetensors"
    content, random_, tally = path.read_bytes(), random.Random(0), Tally("bytes of checkpoints")
    before = run.open("trained").load_tensors("checkpoint")
    for _ in range(CASES):
        what, changed = mutated_bytes(content, random_)
        path.write_bytes(changed)
        attempt(
            tally, what, lambda: run.open("trained").load_tensors("checkpoint"),
            lambda value: same(value, before),
        )  # fmt: skip
    tally.require_none_silent()
    for change, message in [
        ({"step": torch.tensor(10**9)}, "step 1000000000"),
        ({"step": torch.tensor(float("inf"))}, "cannot convert float infinity"),
        ({"seconds": torch.tensor(float("nan"))}, "nan s"),
        ({"model.recurrent.weight_hh_l0": torch.zeros(2, 2)}, "size mismatch"),
        ({"sparsifier.mask.recurrent.weight_hh_l0": torch.ones(8, 8)}, "must be boolean"),
        ({"rate.factor": None}, "factor"),
    ]:  # as whoever can write checksums might
        tensors = {name: tensor for name, tensor in (before | change).items() if tensor is not None}
        run.open("trained").save_tensors("checkpoint", tensors)
        with pytest.raises(DamagedFile, match=message):
            carry_out(run)


def test_damaged_masks_of_a_sparsifier(tmp_path):
    def fresh():
        torch.manual_seed(0)
        return Sparsifier(torch.nn.RNN(3, 16), "dog", "torus", sparsity=0.8)

    sparsifier, path = fresh(), tmp_path / "masks.safetensors"
    sparsifier.step()
    sparsifier.save(path)
    content, random_, tally = path.read_bytes(), random.Random(1), Tally("bytes of masks")

    def load():
        other = fresh()
        other.load(path)
        return dict(other.masks)

    before = load()
    for _ in range(CASES):
        what, changed = mutated_bytes(content, random_)
        path.write_bytes(changed)
        attempt(tally, what, load, lambda value: same(value, before))
    tally.require_none_silent()
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(StateMismatch, match="not a plain file; save it again"):
        load()
    for odd in (tmp_path, tmp_path / "no" / "folder", tmp_path / ("x" * 300), "a\0b", path):
        with pytest.raises(CannotStore, match="cannot be written"):
            sparsifier.save(odd)
    with pytest.raises(StateMismatch, match="too long"):
        fresh().load(tmp_path / ("x" * 300))


def test_metrics_that_were_changed_are_not_drawn_and_may_be_deleted(copy):
    stage = copy.run("torus-diffusion", 0.75, 0).stage("trained")
    path, summary = stage / "metrics.csv", Summary.read(copy.folder / "results.json")
    path.write_text(path.read_text().replace("0.", "1."))
    with pytest.raises(
        DamagedFile, match=r"metrics\.csv was changed after it was written; delete the folder"
    ):
        draw_comparison(copy, summary)
    shutil.rmtree(stage)
    carry_out(copy.run("torus-diffusion", 0.75, 0))
    assert draw_comparison(copy, summary)
    assert read_page(copy).facts["files"] == "as their checksums say"
    path.write_bytes(b"step,loss\n3,x\n6,1.0\n")
    with pytest.raises(DamagedFile, match=r"metrics\.csv is damaged"):
        read_metrics(stage)


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    run = Comparison(TINY, ["none"], [0], tmp_path / "file", "table").run("none", 0.75, 0)
    with pytest.raises(CannotWrite, match=r"cannot be written \(Not a directory\).*make it writable"):
        carry_out(run)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", ["weights", "sparsifier"])
def test_a_page_reads_every_file_of_its_networks(copy, stage, name):
    path = copy.run("torus-diffusion", 0.75, 1).stage(stage) / f"{name}.safetensors"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedFile, match=f"{name}.*its checksum does not agree"):
        read_page(copy)
    with pytest.raises(DamagedFile, match=f"{name}.*its checksum does not agree"):
        carry_out(copy.run("torus-diffusion", 0.75, 1))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("command", "\ud800"),
        ("seconds_of_training", 10**400),
        ("references", {"a": [10**400, 1.0]}),
        ("trained", [10**400, 1.0]),
        ("sparsity", 10**400),
        ("folders", ["/etc", "/etc"]),
        ("folders", ["../x", "../x"]),
        ("folders", ["x" * 5000, "y"]),
    ],
)
def test_values_that_nobody_writes_are_named_whatever_their_sum(copy, field, value):
    path = copy.folder / "results.json"
    stored = json.loads(path.read_text())
    holder = stored if field in stored else stored["rows"][0]
    holder[field] = value
    path.write_text(json.dumps(files.sealed(stored)))
    with pytest.raises(DamagedFile):
        read_page(copy)


def test_pictures_that_are_none_are_named(copy):
    path = copy.folder / "figures" / "huge.png"
    header = struct.pack(">II", 2**31 - 1, 2**31 - 1) + b"\x08\x02\x00\x00\x00"
    chunk = b"IHDR" + header
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + chunk
        + struct.pack(">I", zlib.crc32(chunk))
        + b"\0\0\0\0IDAT"
    )
    with pytest.raises(DamagedFile, match="is not an image"):
        read_page(copy)
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n")
    with pytest.raises(DamagedFile, match="is not an image"):
        read_page(copy)


def test_a_list_of_sums_that_is_missing_or_garbage_is_named(copy):
    sums = copy.folder / files.SUMS
    sums.write_text("garbage\n")
    assert read_page(copy).facts["files"] == f"changed after they were written: {files.SUMS}"
    sums.unlink()
    assert read_page(copy).facts["files"].startswith(f"{files.SUMS} is missing")


def test_leftovers_of_killed_writers_are_removed(copy):
    run = copy.run("torus-diffusion", 0.75, 0)
    stage = run.stage("trained")
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    leftover = [
        stage / f".weights.safetensors.{dead.pid}-17",
        stage / ".results.json.0-1",
        stage / "checkpoint.safetensors",
    ]
    notes = stage / ".notes.2024-12"  # a user's own
    at_work = stage / f".config.json.{os.getpid()}-17"
    for path in (*leftover, at_work, notes, stage / ".x.1\u00b2-1"):
        path.write_bytes(b"half")
    (stage / ".y.999999-1").mkdir()
    carry_out(run)
    assert not any(path.exists() for path in leftover)
    assert at_work.exists()
    assert notes.exists()


def strip_sums(comparison):
    """Make of an experiment what a version without checksums left."""
    from safetensors.torch import load_file, save_file

    for path in comparison.out.rglob("*.json"):
        stored = json.loads(path.read_text())
        stored.pop("sha256", None)
        path.write_text(json.dumps(stored))
    for path in comparison.out.rglob("*.safetensors"):
        save_file(load_file(path), path)
    for path in comparison.out.rglob(files.SUMS):
        path.unlink()


@pytest.mark.parametrize(
    ("module", "name", "planted", "test"),
    [
        (files, "check_json", lambda path, value: True, test_altered_json_of_a_run),
        (tensor_files, "tensor_checksum", lambda tensors, header: None, test_damaged_files_of_a_run),
    ],
)
def test_a_reader_that_checks_no_sum_is_caught(copy, monkeypatch, module, name, planted, test):
    if module is files:
        for user in ("run_folder", "records"):
            monkeypatch.setattr(f"moduli.tasks.experiments.runs.{user}.{name}", planted)
    else:
        monkeypatch.setattr(module, name, planted)
        strip_sums(copy)
    with pytest.raises(AssertionError, match="silent"):
        test(copy, "results.json" if module is files else "weights.safetensors")


def test_a_reader_that_raises_what_it_likes_is_caught(copy, monkeypatch):
    monkeypatch.setattr(files, "damaged", lambda reason: KeyError(reason))
    with pytest.raises(AssertionError, match="traceback KeyError"):
        test_damaged_files_of_a_run(copy, "results.json")


def test_no_experiment_is_no_report(tmp_path):
    with pytest.raises(NothingToReport):
        read_contents(tmp_path)
