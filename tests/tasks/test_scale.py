"""The same runs on a cluster, and one run over several devices."""

import sys
import warnings
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from moduli.errors import InvalidConfiguration, MissingDependency
from moduli.tasks.experiments.comparisons.comparison import Comparison
from moduli.tasks.experiments.configuration.execution import Execution
from moduli.tasks.experiments.configuration.settings import Configuration, PruningSettings, TrainingSettings
from moduli.tasks.experiments.protocol import carry_out
from moduli.tasks.experiments.runs.metrics import read_metrics
from moduli.tasks.experiments.runs.run import Run
from moduli.tasks.experiments.runs.stages import STAGES
from moduli.tasks.navigation.settings import NavigationSettings

TINY = Configuration(
    NavigationSettings(units=12, cells=10, walk_length=4, test_walks=20),
    TrainingSettings(steps=20, batch=6, learning_rate=0.01, log_interval=5),
    PruningSettings(sparsity=0.8, strength=1.0),
)


def weights(run):
    return [load_file(run.stage(stage) / "weights.safetensors") for stage in STAGES]


@pytest.mark.thorough
def test_a_dask_cluster_of_two_processes_gives_the_results_of_one_machine(tmp_path):
    from distributed import LocalCluster

    own = Comparison(TINY, ["none", "torus-diffusion"], [0], tmp_path / "own", "table")
    clustered = replace(own, out=tmp_path / "dask")
    expected = own.carry_out(jobs=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the cluster's own start
        cluster = LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None)
    with cluster:
        results = clustered.carry_out(jobs=1, dask=cluster.scheduler_address)
        done = [prefix.state_counts["memory"] for prefix in cluster.scheduler.task_prefixes.values()]
    assert sum(done) == len(clustered.runs)
    for run, result, other, reference in zip(clustered.runs, results, own.runs, expected, strict=True):
        assert result["ticket"].score == reference["ticket"].score
        for ours, theirs in zip(weights(run), weights(other), strict=True):
            assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_scheduler_that_does_not_answer_is_named(tmp_path, monkeypatch):
    def silent(address):
        raise OSError("Timed out trying to connect")

    monkeypatch.setattr("distributed.Client", silent)
    comparison = Comparison(TINY, ["none"], [0], tmp_path, "table")
    with pytest.raises(InvalidConfiguration, match="No Dask scheduler answers at 'tcp://nowhere:1'"):
        comparison.carry_out(jobs=1, dask="tcp://nowhere:1")


def test_a_cluster_without_dask_names_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingDependency, match=r"pip install 'moduli\[cluster\]'"):
        Comparison(TINY, ["none"], [0], tmp_path, "table").carry_out(jobs=1, dask="tcp://nowhere:1")
    assert not list(tmp_path.iterdir())


@pytest.mark.thorough
def test_two_devices_share_each_batch_and_reach_the_weights_of_one(tmp_path):
    whole, shared = (Run(TINY, "torus-diffusion", 0, tmp_path / name) for name in ("one", "two"))
    carry_out(whole)
    results = carry_out(shared, Execution(devices=2))
    assert results["trained"].sparsity["total"] == pytest.approx(0.8, abs=0.01)
    assert [row["step"] for row in read_metrics(shared.stage("trained"))] == [5, 10, 15, 20]
    for ours, theirs in zip(weights(shared), weights(whole), strict=True):
        for name, weight in theirs.items():
            # Half batches are averaged in another order; a wrong share of the data differs by 1e-2.
            assert torch.allclose(ours[name], weight, atol=1e-4)


def test_less_precision_trains_as_well_and_is_another_run(tmp_path):
    coarse = replace(TINY, training=replace(TINY.training, precision="bf16-mixed"))
    exact, rounded = Run(TINY, "none", 0, tmp_path), Run(coarse, "none", 0, tmp_path)
    assert exact.folder != rounded.folder
    losses = []
    for run in (exact, rounded):
        carry_out(run)
        losses.append([row["loss"] for row in read_metrics(run.stage("trained"))])
    assert losses[1] != losses[0]
    assert losses[1] == pytest.approx(losses[0], rel=0.01)
