"""Clause T3: runs that are killed, asked to stop, or out of room, and what is left of them."""

import errno
import json
import os
import random
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from moduli.tasks.errors import CannotWrite
from moduli.tasks.experiments.configuration.execution import Execution
from moduli.tasks.experiments.configuration.settings import Configuration, PruningSettings, TrainingSettings
from moduli.tasks.experiments.protocol import carry_out
from moduli.tasks.experiments.runs.metrics import read_metrics
from moduli.tasks.experiments.runs.run import Run
from moduli.tasks.experiments.training.interruption import stop_requests
from moduli.tasks.navigation.settings import NavigationSettings

STEPS = 100
OPTIONS = (
    f"compare navigation --preset smoke --units 24 --cells 10 --walk-length 8 --test-walks 20 --batch 10 "
    f"--steps {STEPS} --log-interval 5 --checkpoint-seconds 0.02 --methods none,torus-diffusion --no-verify"
)
SETTINGS = Configuration(
    NavigationSettings(units=12, cells=10, walk_length=4, test_walks=20),
    TrainingSettings(steps=20, batch=5, learning_rate=0.01, log_interval=5),
    PruningSettings(sparsity=0.8, strength=1.0),
)


# A shell starts a command that ends in & like this.
IGNORE_CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); "
HEED_CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "


def start(folder, jobs, before=""):
    command = [sys.executable, "-c", f"{before}from moduli.tasks.cli import main; main()", *OPTIONS.split()]
    return subprocess.Popen(
        [*command, "--out", str(folder), "--jobs", str(jobs)],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_step(folder, step):
    """Wait until a run of a sweep is beyond a step of its first stage, or the sweep has ended."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        rows = [read_metrics(path) for path in folder.glob("networks/*/trained")]
        if any(found and found[-1]["step"] >= step for found in rows):
            return
        time.sleep(0.01)
    pytest.fail("the sweep did not start")


def command_line(pid):
    return Path(f"/proc/{pid}/cmdline").read_text()


def children(pid):
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found]


def weights(folder):
    paths = sorted(folder.glob("networks/*/*/weights.safetensors"))
    return {str(path.relative_to(folder)): load_file(path) for path in paths}


def same(one, other):
    return one.keys() == other.keys() and all(
        torch.equal(one[path][name], other[path][name]) for path in one for name in one[path]
    )


@pytest.mark.thorough
def test_a_sweep_killed_at_random_moments_ends_bit_identical(tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    process = start(whole, jobs=2)
    assert process.wait() == 0, process.stderr.read()
    process.stderr.close()
    moments = random.Random(0)
    for _ in range(2):
        process = start(broken, jobs=2)
        wait_for_step(broken, moments.randrange(5, STEPS))
        time.sleep(moments.random() / 20)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stderr.close()
    assert len(weights(broken)) < 4
    process = start(broken, jobs=2)
    assert process.wait() == 0, process.stderr.read()
    process.stderr.close()
    assert same(weights(whole), weights(broken))


@pytest.mark.parametrize(
    ("number", "jobs", "before"),
    [
        (signal.SIGINT, 1, ""),
        pytest.param(signal.SIGTERM, 2, "", marks=pytest.mark.thorough),
        pytest.param(signal.SIGTERM, 2, IGNORE_CTRL_C, marks=pytest.mark.thorough),
    ],
)
def test_a_sweep_that_is_asked_to_stop_saves_exits_with_130_and_leaves_no_process(
    tmp_path, number, jobs, before
):
    process = start(tmp_path, jobs, before)
    wait_for_step(tmp_path, 10)
    process.send_signal(number)  # the workers are not told: they notice that their parent is gone
    assert process.wait() == 130
    assert "The same command continues" in process.stderr.read()
    process.stderr.close()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            break
        time.sleep(0.05)
    else:
        pytest.fail("a worker is still running")
    assert list(tmp_path.glob("networks/*/*/checkpoint.safetensors"))


@pytest.mark.parametrize("seconds", [0.1, pytest.param(1.5, marks=pytest.mark.thorough)])
def test_ctrl_c_while_workers_start_says_one_sentence(tmp_path, seconds):
    """A terminal tells all processes, those too that import what they need."""
    process = start(tmp_path, jobs=2, before=HEED_CTRL_C)  # whoever started the tests may ignore it
    deadline = time.monotonic() + 120
    while not any("popen_loky" in command_line(pid) for pid in children(process.pid)):
        assert time.monotonic() < deadline, "no worker was started"
        time.sleep(0.01)
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait() == 130
    said = process.stderr.read().splitlines()
    process.stderr.close()
    assert said == ["Interrupted. The same command continues where this one stopped."]


@pytest.mark.thorough
def test_a_worker_that_dies_is_reported_and_costs_its_last_interval(tmp_path):
    process = start(tmp_path, jobs=2)
    wait_for_step(tmp_path, 10)
    worker = next(pid for pid in children(process.pid) if "popen_loky" in command_line(pid))
    os.kill(worker, signal.SIGKILL)
    assert process.wait() == 2
    message = process.stderr.read()
    assert "A worker process died" in message
    assert "Traceback" not in message
    process.stderr.close()
    assert list(tmp_path.glob("networks/*/*/checkpoint.safetensors"))


@pytest.mark.thorough
def test_workers_end_with_a_main_process_that_is_killed_alone(tmp_path):
    process = start(tmp_path, jobs=2)
    wait_for_step(tmp_path, 10)
    workers = [pid for pid in children(process.pid) if "popen_loky" in command_line(pid)]
    process.kill()
    process.wait()
    process.stderr.close()
    assert workers
    wait_until_gone(workers)


def test_a_process_ends_with_its_parent_whatever_it_is_doing(tmp_path):
    child = (
        "import os, sys, time; from moduli.tasks.experiments.training.interruption import end_with_parent; "
        "end_with_parent(int(sys.argv[1])); open(sys.argv[2], 'w').write(str(os.getpid())); time.sleep(600)"
    )
    parent = (
        "import os, subprocess, sys, time; subprocess.Popen([sys.executable, '-c', sys.argv[1], "
        "str(os.getpid()), sys.argv[2]]); time.sleep(600)"
    )
    note = tmp_path / "pid"
    process = subprocess.Popen([sys.executable, "-c", parent, child, str(note)])
    deadline = time.monotonic() + 60
    while not (note.exists() and note.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.wait()
    wait_until_gone([int(note.read_text())])


def test_a_run_goes_on_when_the_shell_that_started_it_is_closed(tmp_path):
    program = "from moduli.tasks.cli import main; main()"
    command = [sys.executable, "-c", program, *OPTIONS.split(), "--out", str(tmp_path), "--jobs", "1"]
    subprocess.run(f"nohup {shlex.join(command)} > /dev/null 2>&1 &", shell=True, check=True)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("*/results.json")):
        assert time.monotonic() < deadline, "the run stopped with its shell"
        time.sleep(0.1)
    assert len(weights(tmp_path)) == 4


def wait_until_gone(processes):
    """Wait until processes have ended, which nobody may have reaped."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        stats = [Path(f"/proc/{pid}/stat") for pid in processes]
        if all(not path.exists() or path.read_text().rpartition(")")[2].split()[0] == "Z" for path in stats):
            return
        time.sleep(0.05)
    pytest.fail("a process lives on without its parent")


def test_the_last_step_before_a_stop_is_saved(tmp_path, monkeypatch):
    from moduli.tasks.navigation.task import Navigation

    original, count = Navigation.loss, 0

    def loss(self, model, batch):
        nonlocal count
        count += 1
        if count == 7:
            signal.raise_signal(signal.SIGTERM)
        return original(self, model, batch)

    monkeypatch.setattr(Navigation, "loss", loss)
    run = Run(SETTINGS, "torus-diffusion", 0, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        carry_out(run, Execution(checkpoint_seconds=1000.0))
    assert int(load_file(run.stage("trained") / "checkpoint.safetensors")["step"]) == 7


@pytest.fixture
def heeds_ctrl_c():
    """Whatever started the tests may have told them to ignore Ctrl-C, as shells do in the background."""
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, inherited)


@pytest.mark.usefixtures("heeds_ctrl_c")
def test_a_second_signal_interrupts_at_once_and_handlers_are_put_back():
    with stop_requests() as asked_to_stop:
        assert not asked_to_stop()
        signal.raise_signal(signal.SIGINT)
        assert asked_to_stop()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_full_disk_is_named_and_costs_nothing_that_was_finished(tmp_path, monkeypatch):
    run = Run(SETTINGS, "none", 0, tmp_path)
    expected = carry_out(Run(SETTINGS, "none", 0, tmp_path / "whole"))
    fsync, written = os.fsync, 0

    def full(descriptor):
        nonlocal written
        written += 1
        if written > 15:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CannotWrite, match=r"safetensors cannot be written \(No space left"):
        carry_out(run, Execution(checkpoint_seconds=0.0))
    monkeypatch.setattr(os, "fsync", fsync)
    assert not [path for path in tmp_path.rglob(".*") if path.name != ".claim"]
    results = carry_out(run)
    assert [results[stage].score for stage in results] == [expected[stage].score for stage in expected]


def test_two_commands_on_one_run_wait_for_one_another(tmp_path):
    run = Run(SETTINGS, "none", 0, tmp_path)
    results = []
    threads = [threading.Thread(target=lambda: results.append(carry_out(run))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results[0] == results[1]
    steps = [row["step"] for row in read_metrics(run.stage("trained"))]
    assert steps == [5, 10, 15, 20]
    assert json.loads((run.stage("trained") / "results.json").read_text()) == results[0]["trained"].as_dict()
