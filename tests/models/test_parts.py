"""The parts of a sparsifier, each used alone."""

import copy
import io

import pytest
import torch
from torch import nn

from moduli.manifolds import InvalidParameter, Torus
from moduli.models import LinearSchedule, NonFiniteWeights, NothingToPrune, Regrowth, Sparsifier, random_mask
from moduli.models.matrices import is_recurrent, matrices_in_scope, named_in_full, named_matrices
from moduli.models.placement.charges import placed
from moduli.models.pruning.blocks import Blocks
from moduli.models.pruning.living import LivingWeights
from moduli.models.pruning.masks import Masks
from moduli.models.pruning.pruners import GradualPruner, NoPruner
from moduli.models.pruning.regrowth import regrown
from moduli.models.pruning.units import SingleWeights, WholeBlocks, unit_of
from moduli.models.state import as_bytes
from moduli.models.table import Table
from moduli.regularizers import Diffusion, ShapeMismatch, Uniform
from tests.conftest import seeded, uniform


def test_which_weights_are_recurrent():
    model = nn.Sequential(nn.LSTM(3, 4), nn.Linear(4, 2))
    matrices = named_matrices(model)
    assert [name for name, matrix in matrices.items() if matrix.recurrent] == ["0.weight_hh_l0"]
    assert [name for name in matrices if is_recurrent(name)] == ["0.weight_hh_l0"]
    assert is_recurrent("weight_hh_l1_reverse")
    assert not is_recurrent("weight_hh_holder.weight")
    assert [matrix.name for matrix in matrices_in_scope(matrices, recurrent_only=True)] == ["0.weight_hh_l0"]
    with pytest.raises(NothingToPrune, match=r"called '1\.weights'; did you mean '1\.weight'"):
        named_in_full(matrices, ["1.weights"])


def test_charges_are_the_mean_of_coefficients_times_magnitudes():
    model = nn.GRU(2, 6)
    charges = placed(named_matrices(model), Diffusion(), Torus(2), None, seeded(0), ordered=False)
    [points] = charges.points().values()
    expected = (Diffusion()(Torus(2), points).repeat(3, 1) * model.weight_hh_l0.abs()).mean()
    assert torch.allclose(charges.penalty(model.get_parameter), expected)
    assert charges.coefficients("weight_hh_l0", model.weight_hh_l0).shape == (18, 6)
    assert charges.coefficients("weight_ih_l0", model.weight_ih_l0) is None
    assert charges.cheapness("weight_ih_l0", model.weight_ih_l0) is None


def test_living_weights_keep_the_dead_dead_and_record_when_asked():
    model = nn.Linear(5, 5, bias=False)
    mask = random_mask(5, 5, sparsity=0.5)
    living = LivingWeights(model, {"weight": mask})
    living.apply()
    assert torch.equal(model.weight != 0, mask)
    for records in (False, True):
        living.records = records
        model(torch.ones(1, 5)).sum().backward()
        recorded = living.recorded("weight")
        assert (recorded is not None) == records
    assert (recorded == 1).all()  # of dead weights as well
    assert living.recorded("weight") is None
    assert torch.equal(model.weight.grad != 0, mask)
    assert living.sparsity() == {"weight": 0.48, "total": 0.48}
    with torch.no_grad():
        model.weight[0, 0] = torch.nan
    with pytest.raises(NonFiniteWeights, match="weight holds NaN"):
        living.check_finite(3)
    with pytest.raises(ShapeMismatch, match=r"shape \(2, 2\), the weight \(5, 5\)"):
        LivingWeights(model, {"weight": torch.ones(2, 2)})


def test_copies_of_living_weights_mask_the_gradients_of_copied_models():
    model = nn.Linear(4, 4, bias=False)
    twin_model, twin = copy.deepcopy((model, LivingWeights(model, {"weight": torch.eye(4)})))
    twin_model(torch.ones(1, 4)).sum().backward()
    assert torch.equal(twin_model.weight.grad, torch.eye(4))
    assert isinstance(twin.masks, Masks)


def test_a_pruner_follows_schedule_and_targets_group_by_group():
    pruner = GradualPruner(LinearSchedule(0, 4), {("a",): 0, ("b", "c"): 8}, SingleWeights())
    weights = {name: uniform(3, 3, seed=seed) for seed, name in enumerate("abc")}
    masks = {name: torch.ones(3, 3, dtype=torch.bool) for name in weights}
    for step in range(1, 6):
        due = pruner.due(step, masks)
        assert due == ({("b", "c"): 2} if step <= 4 else {})
        masks |= pruner.cut(due, masks, weights.__getitem__)
    assert masks["a"].all()
    alive = torch.cat([weights[name][masks[name]] for name in "bc"])
    dead = torch.cat([weights[name][~masks[name]] for name in "bc"])
    assert len(dead) == 8
    assert dead.max() < alive.min()
    assert NoPruner().due(1, masks) == {}


def test_units_cut_single_weights_or_whole_blocks():
    weight = uniform(4, 4)
    alive = {"w": torch.ones(4, 4, dtype=torch.bool)}
    single = SingleWeights().cut(alive, {"w": weight}, 5)["w"]
    blocks = WholeBlocks({"w": Blocks((4, 4), 2)}).cut(alive, {"w": weight}, 5)["w"]
    assert int((~single).sum()) == 5
    assert int((~blocks).sum()) == 4
    assert isinstance(unit_of(1, Regrowth(end=3), []), SingleWeights)
    with pytest.raises(InvalidParameter, match="regrowth exchanges single weights, but granularity=2"):
        unit_of(2, Regrowth(end=3), [])


def test_regrowth_leaves_a_matrix_without_merit_as_it_is():
    masks = {name: torch.eye(4) > 0 for name in ("a", "b")}
    changed = regrown(
        Regrowth(end=10, interval=1, share=0.5),
        1,
        masks,
        lambda name: uniform(4, 4),
        lambda name: uniform(4, 4, seed=1) if name == "a" else None,
    )
    assert list(changed) == ["a"]
    assert changed["a"].sum() == 4


def test_tables_are_read_on_consoles_and_in_notebooks():
    sparsifier = Sparsifier(nn.RNN(3, 8), Uniform(), Torus(2), sparsity=0.5)
    sparsifier.step()
    lines = repr(sparsifier).splitlines()
    assert lines[0].startswith("Sparsifier(RNN, Uniform(), Torus(dim=2, period=10.0), scope='layer') after 1")
    assert lines[3].split() == ["weight_hh_l0", "8", "x", "8", "50.00%", "50.00%", "recurrent"]
    assert repr(sparsifier.masks).splitlines()[-1].split() == ["total", "88", "44", "50.00%"]
    html = sparsifier._repr_html_()
    assert html.count("<tr>") == 4
    assert "<td>weight_hh_l0</td><td>8 x 8</td>" in html
    assert "<td>&lt;b&gt;</td>" in Table("t", ("h",), (("<b>",),)).html()
    assert "<td>weight_ih_l0</td>" in sparsifier.masks._repr_html_()
    shared = Sparsifier(nn.RNN(3, 8), sparsity=0.5, scope="global")
    assert repr(shared).splitlines()[2].split() == ["weight_ih_l0", "8", "x", "3", "0.00%"]
    assert repr(shared).splitlines()[-1].split() == ["total", "88", "0.00%", "50.00%"]


def test_masks_are_stored_as_a_plain_mapping(tmp_path):
    masks = Sparsifier(nn.RNN(3, 8)).masks
    file = io.BytesIO()
    torch.save(masks, file)
    file.seek(0)
    assert torch.load(file, weights_only=True).keys() == masks.keys()


def test_a_state_of_given_masks_says_nothing_of_a_target():
    mask = random_mask(8, 8, sparsity=0.75)
    sparsifier = Sparsifier(nn.RNN(3, 8), masks={"weight_hh_l0": mask})
    assert sparsifier.target == 0.75
    assert "sparsity" not in sparsifier.identity
    earlier = sparsifier.state_dict() | {"spec": as_bytes(sparsifier.identity | {"sparsity": "0.9"})}
    sparsifier.load_state_dict(earlier)  # as states were written that named the default
