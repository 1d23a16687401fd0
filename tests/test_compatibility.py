"""Clauses S3 and S9 to S12: modules of every kind, and what users do with them while weights are cut.

`python -m tests.test_compatibility` prints docs/compatibility.md, the page of what is tried here.
"""

import copy
import itertools
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save
from torch import nn
from torch.optim.swa_utils import AveragedModel

from moduli.manifolds import Torus
from moduli.models import (
    CannotCompress,
    CubicSchedule,
    Regrowth,
    Sparsifier,
    compress,
    dense_state,
    random_mask,
    sparse_rnn,
    sparse_state,
    tile_mask,
    train_survivors,
)
from moduli.regularizers import Diffusion
from tests import test_lightning, test_second_derivatives
from tests.conftest import seeded
from tests.models import (
    test_dead_weights,
    test_fast_modules,
    test_processes,
    test_refusals,
    test_regrowth,
    test_sparse_states,
)
from tests.models.test_hand_written_cells import CTRNN, LRU, Elman, Gated, LowRank, Masked, MinGRU
from tests.test_sparsifier import Reader


class Cells(nn.Module):
    """A cell that is called once for each time step, and a read-out."""

    def __init__(self):
        super().__init__()
        self.cell = nn.GRUCell(3, 12)
        self.out = nn.Linear(12, 2)

    def forward(self, x):
        states = [self.cell(x[0])]
        for step in x[1:]:
            states.append(self.cell(step, states[-1]))
        return self.out(torch.stack(states))


KNOWN = {
    "RNN": lambda: Reader(nn.RNN),
    "GRU": lambda: Reader(nn.GRU),
    "LSTM": lambda: Reader(nn.LSTM),
    "LSTM, 2 layers, bidirectional": lambda: Reader(nn.LSTM, num_layers=2, bidirectional=True),
    "GRUCell": Cells,
}
WRITTEN_BY_HAND = {
    "CTRNN": (CTRNN, "h2h.weight"),
    "Elman, raw parameter": (Elman, "inner"),
    "low rank": (LowRank, "inner"),
    "masked, Dale's signs": (Masked, "inner"),
    "gated, raw parameter": (Gated, "inner"),
    "minGRU": (MinGRU, ["gate.weight", "value.weight"]),
    "LRU": (LRU, "mix.weight"),
}
MODULES = KNOWN | {name: kind for name, (kind, _) in WRITTEN_BY_HAND.items()}
OPTIMIZERS = {
    "SGD, momentum": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.01),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=0.01),
}
FEATURES = {
    "plain": "a loop of your own",
    "accumulation": "gradients of two batches accumulated",
    "clipping": "gradients clipped by their norm",
    "autocast": "`torch.autocast` in bfloat16, where the processor lets PyTorch run the module in it",
    "compiled": "`torch.compile`, with the backend that traces and leaves machine code to eager PyTorch",
    "float64": "the model converted half-way",
    "deepcopy": "model and sparsifier copied half-way, training goes on with the copies",
    "state_dict": "model and sparsifier restored half-way from their states",
    "file": "the sparsifier saved half-way as safetensors, and loaded",
    "blocks": "whole blocks of 4 x 4 weights cut",
    "ticket": "the ticket trained instead, from half-way on",
    "compress": "the model compressed in the end, with equal outputs",
}
CASES = [
    *itertools.product(KNOWN, OPTIMIZERS, FEATURES),
    *itertools.product(WRITTEN_BY_HAND, ["AdamW"], FEATURES),
]
PAGE = Path(__file__).parents[1] / "docs" / "compatibility.md"


def sparsifier_of(module, model, **options):
    """Return a sparsifier of all weights of one of the modules above."""
    recurrent = WRITTEN_BY_HAND[module][1] if module in WRITTEN_BY_HAND else ()
    return Sparsifier(model, Diffusion(), Torus(), **({"sparsity": 0.9, "recurrent": recurrent} | options))


def batch(generator):
    return torch.randn(4, 2, 3, generator=generator)


@pytest.mark.parametrize(("module", "optimizer", "feature"), CASES)
def test_s3_pruned_models_train_on(module, optimizer, feature, tmp_path):
    model = MODULES[module]()
    if feature == "autocast" and not _runs_in_bfloat16(model):
        pytest.skip("PyTorch itself cannot run this module in bfloat16 on this processor.")
    size = 4 if feature == "blocks" else 1
    options = {"granularity": size, "scope": "recurrent"} if feature == "blocks" else {}
    sparsifier = sparsifier_of(module, model, schedule=CubicSchedule(0, 4), **options)
    steps = OPTIMIZERS[optimizer](model.parameters())
    generator, dtype = seeded(), torch.float32
    for step in range(6):
        # The eager backend traces the model like any other, without compiling machine code.
        call = torch.compile(model, backend="eager") if feature == "compiled" else model
        for _ in range(2 if feature == "accumulation" else 1):
            with torch.autocast("cpu", torch.bfloat16, enabled=feature == "autocast"):
                output = call(batch(generator).to(dtype))
            loss = output.square().mean() if feature == "float64" else output.float().square().mean()
            (loss + sparsifier.penalty()).backward()
        if feature == "clipping":
            nn.utils.clip_grad_norm_(model.parameters(), 0.01)
        steps.step()
        steps.zero_grad()
        sparsifier.step()
        if step == 3:
            if feature == "deepcopy":
                model, sparsifier = copy.deepcopy((model, sparsifier))
            if feature == "ticket":
                model, sparsifier = sparsifier.ticket(seed=1)
            if feature == "float64":
                model, dtype = model.double(), torch.float64
            if feature in ("deepcopy", "ticket", "float64"):
                steps = OPTIMIZERS[optimizer](model.parameters())
            if feature == "state_dict":
                model.load_state_dict(copy.deepcopy(model.state_dict()))
                sparsifier.load_state_dict(sparsifier.state_dict())
            if feature == "file":
                sparsifier.save(tmp_path / "half-way")
                sparsifier.load(tmp_path / "half-way")
    for name, mask in sparsifier.masks.items():
        weight = model.get_parameter(name)
        assert weight.isfinite().all()
        assert torch.equal(weight != 0, mask)
        assert abs(int((~mask).sum()) - 0.9 * mask.numel()) <= size**2
    if feature == "compress":
        x = batch(generator)
        torch.testing.assert_close(compress(model)(x), model.eval()(x).detach(), rtol=0, atol=1e-5)


BETWEEN = {
    "attached": "no call of `step()`, but `attach(optimizer)`",
    "two optimizers": "two of them, each attached and of a part of the model",
    "frozen": "parameters frozen and unfrozen",
    "born frozen": "parameters unfrozen that were frozen when the sparsifier was made",
    "assigned": "`load_state_dict(assign=True)`",
    "replaced": "parameters replaced by new ones",
    "converted": "a conversion that makes new parameters",
    "averaged": "`AveragedModel`, cut by `apply_to`",
}


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("what", BETWEEN)
def test_s9_dead_weights_stay_dead(module, what):
    model = MODULES[module]().requires_grad_(what != "born frozen")
    sparsifier = sparsifier_of(module, model, schedule=CubicSchedule(0, 2))
    average, generator = AveragedModel(model), seeded()
    for step in range(5):
        if step == 3:
            _change(model, what, sparsifier)
        parameters = list(model.parameters())
        if step == 0 or (step == 3 and what in ("assigned", "replaced", "converted")):
            parts = [parameters[::2], parameters[1::2]] if what == "two optimizers" else [parameters]
            optimizers = [torch.optim.AdamW(part, lr=0.01) for part in parts]
            for optimizer in optimizers if what in ("attached", "two optimizers") else ():
                sparsifier.attach(optimizer)
        model.zero_grad()
        loss = model(batch(generator)).square().mean() + sparsifier.penalty()
        if loss.requires_grad:
            loss.backward()
        seen = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        for optimizer in optimizers:
            optimizer.step()
        if what not in ("attached", "two optimizers"):
            sparsifier.step()
        average.update_parameters(model)
        for name, mask in sparsifier.masks.items():
            assert (model.get_parameter(name)[~mask] == 0).all()
    alive = [
        p.grad[sparsifier.masks[name]] if name in sparsifier.masks else p.grad
        for name, p in model.named_parameters()
        if p.grad is not None
    ]
    torch.testing.assert_close(seen, nn.utils.get_total_norm(alive))  # what clipping by norm sees
    assert sparsifier.steps_taken == 5
    sparsifier.apply_to(average)
    for name, mask in sparsifier.masks.items():
        assert (average.module.get_parameter(name)[~mask] == 0).all()
        assert abs(int((~mask).sum()) - 0.9 * mask.numel()) <= 1


def _change(model, what, sparsifier):
    """Do half-way what a user may do."""
    if what == "frozen":
        model.requires_grad_(False)
    if what in ("frozen", "born frozen"):
        model.requires_grad_(True)
    if what == "assigned":
        model.load_state_dict({key: value.clone() for key, value in model.state_dict().items()}, assign=True)
    if what == "replaced":
        for name in sparsifier.masks:
            path, _, own = name.rpartition(".")
            owner = model.get_submodule(path)
            setattr(owner, own, nn.Parameter(getattr(owner, own).detach().clone()))
    if what == "converted":
        test_dead_weights.convert(model)


GROWING = {
    "gradient": '`Regrowth(where="gradient")`, two batches accumulated',
    "random": '`Regrowth(where="random")`',
    "cheapest": '`Regrowth(where="cheapest")`',
}


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("where", GROWING)
def test_s10_weights_grow_anew(module, where):
    model = MODULES[module]()
    rule = Regrowth(end=9, interval=3, share=0.5, where=where)
    sparsifier = sparsifier_of(module, model, sparsity=0.7, scope="recurrent", regrowth=rule)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    sparsifier.attach(optimizer)
    generator = seeded()
    for _ in range(3):
        before = dict(sparsifier.masks)
        dense = copy.deepcopy(model)  # without hooks
        optimizer.zero_grad()
        dense.zero_grad()
        for _ in range(2):
            x = batch(generator)
            dense(x).square().mean().backward()
            (model(x).square().mean() + sparsifier.penalty()).backward()
        optimizer.step()
    for name, mask in sparsifier.masks.items():
        weight, old = model.get_parameter(name), before[name]
        grown = mask & ~old
        assert mask.sum() == old.sum()
        assert grown.any()
        assert (weight[grown] == 0).all()
        assert (weight[~mask] == 0).all()
        assert not optimizer.state[weight]["exp_avg"][grown].any()
        if where == "gradient":
            slope = dense.get_parameter(name).grad.abs()
            assert slope[grown].min() >= slope[~mask & ~old].max() * (1 - 1e-5)


FAST = {
    "survivors": "`train_survivors`, with gradients equal to the masked model's",
    "half": "`train_survivors` in bfloat16",
}


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("what", FAST)
def test_s12_fast_modules_fit_in(module, what):
    model = MODULES[module]()
    sparsifier = sparsifier_of(module, model, sparsity=0.7)
    sparsifier.step()
    masks = dict(sparsifier.masks)
    if "inner" in masks:
        with pytest.raises(CannotCompress, match=f"inner is a weight of {type(model).__name__}"):
            train_survivors(model, masks)
        del masks["inner"]  # the rest is made sparse, and this one stays dense
    if what == "half":
        model = model.bfloat16()
    sparse, x = train_survivors(model, masks), batch(seeded()).to(next(model.parameters()).dtype)
    found, expected = sparse(x), model(x)
    tolerance = {"rtol": 0, "atol": 0.05 if what == "half" else 1e-5}
    torch.testing.assert_close(found, expected, **tolerance)
    for each in (found, expected):
        each.square().mean().backward()
    for name, mask in masks.items():
        ours, theirs = sparse.get_parameter(f"{name}.values").grad, model.get_parameter(name).grad[mask]
        torch.testing.assert_close(ours, theirs, **tolerance)


def of_tiles(kind, gates, **options):
    """Return a model and the mask of its tiles, with bridges between them."""
    points = Torus().random_point(64, seeded())
    mask = tile_mask("torus", points, sparsity=0.75, bridges=0.1).repeat(gates, 1)
    return train_survivors(Reader(kind, 64, **options), {"rnn.weight_hh_l0": mask})


def born_sparse(kind, **options):
    """Return a reader that holds a module of `sparse_rnn`."""
    model = Reader(KINDS[kind], 24, **{name: value for name, value in options.items() if name != "bridges"})
    model.rnn = sparse_rnn(kind, 3, 24, sparsity=0.75, **options)
    return model


def cut_cell():
    model = Cells()
    return train_survivors(model, {"cell.weight_hh": random_mask(36, 12, sparsity=0.7)})


KINDS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
SPARSE = {
    "`sparse_rnn`, RNN": (lambda: born_sparse("rnn"), lambda: Reader(nn.RNN, 24)),
    "`sparse_rnn`, GRU, bridges": (lambda: born_sparse("gru", bridges=0.2), lambda: Reader(nn.GRU, 24)),
    "`sparse_rnn`, LSTM, 2 layers, bidirectional": (
        lambda: born_sparse("lstm", num_layers=2, bidirectional=True),
        lambda: Reader(nn.LSTM, 24, num_layers=2, bidirectional=True),
    ),
    "`train_survivors`, GRU, tiles, bridges": (lambda: of_tiles(nn.GRU, 3), lambda: Reader(nn.GRU, 64)),
    "`train_survivors`, LSTM, tiles, bridges": (lambda: of_tiles(nn.LSTM, 4), lambda: Reader(nn.LSTM, 64)),
    "`train_survivors`, GRUCell, single weights": (cut_cell, Cells),
}
USES = {
    **{
        feature: FEATURES[feature]
        for feature in ("plain", "accumulation", "clipping", "autocast", "compiled", "float64")
    },
    "deepcopy": "the model copied half-way, training goes on with the copy",
    "state_dict": "another model restored half-way from its state",
    "file": "the same, by a file of safetensors",
    "dense and back": "the same, by `dense_state` and `sparse_state`",
    "exported": "`torch.export` of the trained model",
    "compress": "the model compressed in the end, with equal outputs",
}
ANEW = ("deepcopy", "state_dict", "file", "dense and back", "float64")
"""After these, the parameters are others, and so is the optimizer."""


@pytest.mark.parametrize("module", SPARSE)
@pytest.mark.parametrize("use", USES)
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # Dynamo does so
def test_s12_sparse_modules_train_as_their_masked_dense_ones(module, use):
    make, make_dense = SPARSE[module]
    torch.manual_seed(0)
    sparse, dense = make(), make_dense()
    dense.load_state_dict(dense_state(sparse.state_dict()))
    masks = {
        name: weight != 0
        for name, weight in dense.named_parameters()
        if weight.dim() == 2 and (weight == 0).any()
    }
    assert masks
    if use == "autocast" and not _runs_in_bfloat16(dense):
        pytest.skip("PyTorch itself cannot run this module in bfloat16 on this processor.")
    single = use in ("autocast", "float64")
    if not single:
        sparse, dense = sparse.double(), dense.double()
    sparsifier = Sparsifier(dense, masks=masks)
    generator, dtype = seeded(), torch.float32 if single else torch.float64
    for step in range(6):
        if step == 0 or (step == 3 and use in ANEW):
            optimizers = [OPTIMIZERS["SGD, momentum"](each.parameters()) for each in (sparse, dense)]
        inputs = [batch(generator).to(dtype) for _ in range(2 if use == "accumulation" else 1)]
        for each, optimizer in zip((sparse, dense), optimizers, strict=True):
            call = each
            if use == "compiled" and each is sparse:
                call = torch.compile(each, backend="eager")
            for x in inputs:
                with torch.autocast("cpu", torch.bfloat16, enabled=use == "autocast"):
                    output = call(x)
                (10 * output.to(dtype).square().mean()).backward()
            if use == "clipping":
                nn.utils.clip_grad_norm_(each.parameters(), 0.01)
            optimizer.step()
            optimizer.zero_grad()
        sparsifier.step()
        if step == 2 and use == "float64":
            sparse, dense, dtype = sparse.double(), dense.double(), torch.float64
        elif step == 2:
            sparse = _handed_on(sparse, make, use)
    state, x = dense_state(sparse.state_dict()), batch(generator).to(dtype)
    tolerance = {"autocast": 0.05, "float64": 1e-5}.get(use, 1e-10)
    for name, weight in dense.state_dict().items():
        torch.testing.assert_close(state[name], weight, rtol=0, atol=tolerance)
        assert name not in masks or torch.equal(state[name] != 0, masks[name])
    expected = dense(x).detach()
    if use == "exported":
        sparse = torch.export.export(sparse, (x,)).module()
    if use == "compress":
        sparse = compress(sparse)
    torch.testing.assert_close(sparse(x).detach(), expected, rtol=0, atol=tolerance)


def _handed_on(model, make, use):
    """Return the model, or another one that has its weights."""
    if use == "deepcopy":
        return copy.deepcopy(model)
    if use not in ("state_dict", "file", "dense and back"):
        return model
    state, other = model.state_dict(), make().to(next(model.parameters()).dtype)
    if use == "file":
        state = load(save(state))
    if use == "dense and back":
        state = sparse_state(dense_state(state), other)
    other.load_state_dict(state)
    return other


AROUND = {
    test_processes.test_s3_two_processes_keep_the_same_masks: (
        "two processes of `DistributedDataParallel` with different data"
    ),
    test_dead_weights.test_s9_an_attached_sparsifier_steps_by_itself: "Adam, SGD and LBFGS, attached",
    test_dead_weights.test_s9_of_several_optimizers_the_first_counts_and_all_leave_the_dead_dead: (
        "optimizers that step one after the other"
    ),
    test_dead_weights.test_s9_a_copy_is_cut_by_the_same_masks: "`AveragedModel` and other copies, `apply_to`",
    test_refusals.test_s9_what_becomes_of_a_weight_after_the_sparsifier_was_made_is_named: (
        "a module parametrized after its sparsifier was made: refused by name"
    ),
    test_lightning.test_s9_manual_optimization_with_several_steps_a_batch: (
        "Lightning: manual optimization, two optimizers, several steps a batch"
    ),
    test_lightning.test_s9_averaged_weights_end_sparse: (
        "Lightning: `WeightAveraging`, `EMAWeightAveraging`, `StochasticWeightAveraging`"
    ),
    test_lightning.test_s10_training_equals_a_loop_of_one_s_own: (
        "Lightning: accumulated batches, clipping, weights that regrow"
    ),
    test_regrowth.test_s10_all_micro_batches_count: "gradients accumulated before weights regrow",
    test_regrowth.test_s10_the_penalty_does_not_count: "the penalty in the loss, or in a pass of its own",
    test_processes.test_s10_two_processes_regrow_by_their_mean_and_agree_to_the_bit: (
        "two processes of `DistributedDataParallel` that regrow"
    ),
    test_processes.test_s10_gradients_of_dead_weights_are_averaged_as_the_optimizer_s_are: (
        f"the same, with {', '.join(test_processes.PARALLEL)}"
    ),
    test_processes.test_s10_processes_that_train_apart_regrow_apart: "two processes that train apart",
    test_regrowth.test_s10_what_comes_back_is_remembered_as_the_optimizer_remembers_what_is_new: (
        f"the memory of {', '.join(test_regrowth.MEMORIES)}"
    ),
    test_refusals.test_s11_packed_attention_is_named: "attention's `in_proj_weight`: named in a warning",
    test_refusals.test_s11_attention_s_separate_projections_are_named: "its `q_proj_weight`, likewise",
    test_refusals.test_s11_square_parameters_of_one_s_own_are_named: "a raw square parameter, likewise",
    test_refusals.test_s11_lazy_weights_are_refused: "lazy modules: refused by name",
    test_refusals.test_s11_quantized_modules_are_refused_by_name: "quantized modules: refused by name",
    test_refusals.test_s11_sharded_weights_are_refused_by_name: "`fully_shard`: refused by name",
    test_refusals.test_s11_wrapped_weights_are_refused_by_name: (
        f"{', '.join(test_refusals.WRAPPED)}: refused by name"
    ),
    test_refusals.test_s11_what_a_weight_is_computed_from_is_refused_by_name: (
        f"masks of {', '.join(f'`{name}`' for name in test_refusals.UNDERLYING)}: refused by name"
    ),
    test_refusals.test_s11_the_advice_on_tied_weights_works: "tied weights: refused, with advice that works",
    test_fast_modules.test_s12_masked_weights_that_are_tied_stay_tied_in_training: (
        "tied weights in `train_survivors`"
    ),
    test_fast_modules.test_s12_packed_sequences_come_out_packed: "packed sequences through fast modules",
    test_fast_modules.test_s12_autocast_gives_what_the_dense_module_gives: "fast modules under autocast",
    test_fast_modules.test_s12_half_precision_runs_and_trains: "fast modules in half precision",
    test_sparse_states.test_s12_a_dense_state_is_refused_by_name: (
        "a dense state for a sparse module: refused by name; `sparse_state` brings it in"
    ),
    test_sparse_states.test_s12_scripting_is_refused_with_what_works_instead: (
        "`torch.jit.script` of a sparse module: refused by name; `torch.export` and `torch.compile` work"
    ),
    test_sparse_states.test_s12_a_module_that_is_sparse_is_not_made_sparse_again: (
        "masks or a sparsifier for a module that is sparse already: refused by name"
    ),
    test_second_derivatives.test_s12_survivors_have_the_second_derivatives_of_the_masked_dense_network: (
        "derivatives of gradients (`create_graph=True`) of `sparse_rnn` and `train_survivors`"
    ),
    test_second_derivatives.test_s12_survivors_follow_the_transforms_of_torch_func: (
        "`torch.func` on `train_survivors`: `grad`, `jacrev`, `jvp`, `functional_call`"
    ),
    test_fast_modules.test_s12_transformer_encoders_run_in_training_and_by_their_fast_path: (
        "fast modules in `nn.TransformerEncoder`"
    ),
}
"""What is not tried module by module, by the test that tries it."""

HEAD = f"""# Compatibility

Every ✓ stands for tests in `tests/test_compatibility.py`, and every name for the test in `tests/`. This
page is printed from them, by `python -m tests.test_compatibility`. Each test trains for some steps while most
of the weights are cut, and counts them: zeros are where the masks say, in the number that was asked for.

In the rows of S3, ✓ stands for {len(OPTIMIZERS)} tests, one an optimizer:
{"; ".join(OPTIMIZERS)}. For cells written by hand, and in all other rows, it
stands for one with AdamW. `recurrent=` names the recurrent weights of such cells. A raw parameter cannot be
made sparse by `train_survivors`, which says so by name; the rest of its model is.
"""

SPARSE_HEAD = """Modules that hold surviving weights alone train without a sparsifier. Each ✓ stands for a
test that trains one beside the dense module that has its weights and masks, and finds equal weights and
outputs in the end.
"""


def page():
    """Return the page that says what the tests above try."""
    tried = {(module, feature) for module, _, feature in CASES}
    lines = [HEAD, "| | | " + " | ".join(MODULES) + " |", "|---|---|" + "---|" * len(MODULES)]
    for clause, features in (("S3", FEATURES), ("S9", BETWEEN), ("S10", GROWING), ("S12", FAST)):
        for feature, meaning in features.items():
            marks = [
                _mark(clause, module) if clause != "S3" or (module, feature) in tried else ""
                for module in MODULES
            ]
            lines.append(f"| {clause} | **{feature}**: {meaning} | " + " | ".join(marks) + " |")
    lines += ["", SPARSE_HEAD, "| | | " + " | ".join(SPARSE) + " |", "|---|---|" + "---|" * len(SPARSE)]
    for use, meaning in USES.items():
        lines.append(f"| S12 | **{use}**: {meaning} | " + " | ".join("✓" for _ in SPARSE) + " |")
    lines += ["", "| | around one module | the test |", "|---|---|---|"]
    for test, meaning in AROUND.items():
        _, clause, *_ = test.__name__.split("_")
        file = test.__module__.removeprefix("tests.").replace(".", "/")
        lines.append(f"| {clause.upper()} | {meaning} | `{test.__name__}` in `{file}.py` |")
    lines += [
        "",
        "Lightning's trainer is tried in `tests/test_lightning.py`, `torch.export` of compressed modules in",
        "`tests/test_compressed.py`. Everything runs on the CPU; no test needs an accelerator.",
        "",
    ]
    return "\n".join(lines)


def _mark(clause, module):
    return "by name" if clause == "S12" and WRITTEN_BY_HAND.get(module, (None, None))[1] == "inner" else "✓"


def test_the_page_says_what_is_tried():
    assert PAGE.read_text() == page(), "Run: python -m tests.test_compatibility > docs/compatibility.md"


def _runs_in_bfloat16(model: nn.Module) -> bool:
    try:
        with torch.autocast("cpu", torch.bfloat16):
            model(torch.zeros(4, 2, 3))
    except RuntimeError:
        return False
    return True


if __name__ == "__main__":
    print(page(), end="")
