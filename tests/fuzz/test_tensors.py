"""Clause X4: tensors that public functions do not expect, and arguments of every wrong kind."""

import inspect
import math
import warnings
from functools import partial

import networkx
import numpy as np
import pytest
import torch
from torch import nn

from moduli import manifolds, models, regularizers
from moduli.manifolds import Torus, from_distances, from_graph, make
from moduli.manifolds.registry import MANIFOLDS
from moduli.regularizers import Communicability, DifferenceOfGaussians, Diffusion, Uniform
from moduli.regularizers.registry import REGULARIZERS
from tests.conftest import seeded
from tests.fuzz.outcomes import Tally, attempt

POINTS = Torus().random_point(6, seeded())
COEFFICIENTS = Diffusion()(Torus(), POINTS)
WEIGHT = torch.randn(6, 6, generator=seeded())
MASK = (torch.eye(6) + torch.diag(torch.ones(5), 1) + torch.diag(torch.ones(5), -1)).bool()
SPACES = {
    "Grassmannian": {"n": 4, "k": 2}, "geomstats": {"space": "Hypersphere", "dim": 2},
    "product": {"manifolds": [Torus(), Torus(3)]}, "scaled": {"manifold": Torus(), "factor": 2.0},
}  # fmt: skip


def odd_tensors(good):
    """Yield what may be given in the place of a tensor, each by its name."""
    tensor = torch.as_tensor(good).clone()
    rows = tensor.shape[0] if tensor.dim() else 0
    single = tensor.float()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch calls sparse rows and nested tensors experimental
        special = {
            "sparse": tensor.to_sparse(),
            "nested": torch.nested.nested_tensor([single, single]),
            "quantized": torch.quantize_per_tensor(single, 0.1, 0, torch.qint8),
            "sparse rows": single.to_sparse_csr() if tensor.dim() == 2 else None,
        }
    kinds = ("float16", "bfloat16", "float64", "int64", "uint8", "bool", "complex64")
    return {
        **special,
        **{kind: tensor.to(getattr(torch, kind)) for kind in kinds},
        "meta": tensor.to("meta"),
        "list": tensor.tolist(),
        "array": tensor.numpy(),
        "None": None,
        "text": "abc",
        "whole": 3,
        "number": 2.5,
        "dictionary": {"a": tensor},
        "pair": (tensor, tensor),
        "object": object(),
        "NaN": torch.full_like(single, math.nan),
        "infinite": torch.full_like(single, math.inf),
        "huge": single * 1e38,
        "empty": torch.empty(0),
        "scalar": torch.tensor(1.0),
        "flat": tensor.reshape(-1),
        "deeper": tensor[None],
        "no row": tensor[:0] if rows else tensor,
        "one row": tensor[:1] if rows else tensor,
        "twice": torch.cat([tensor, tensor]) if rows else tensor,
        "transposed": tensor.mT if rows > 1 and tensor.dim() > 1 else tensor,
        "expanded": tensor[:1].expand_as(tensor) if rows else tensor,
        "parameter": nn.Parameter(single),
    }


def spaces():
    """Return one manifold of every registered class that can be made without data, and two with."""
    names = sorted(MANIFOLDS.names() - {"graph", "distances", "mesh"})
    known = {name.lower(): arguments for name, arguments in SPACES.items()}
    made = [
        make(name, kwargs=known.get(name, {}))
        for name in names
        if MANIFOLDS.get(name).__module__.startswith("moduli.")
    ]
    return [*made, from_distances(np.ones((6, 6)) - np.eye(6)), from_graph(networkx.cycle_graph(6))]


def calls_of_manifolds():
    for space in spaces():
        points, name = space.random_point(6, seeded()), type(space).__name__
        for method, arguments in (
            ("pairwise", [points]), ("pairwise", [points, points]), ("distance", [points, points]),
            ("project", [points]), ("contains", [points]), ("retract", [points, torch.zeros_like(points)]),
        ):  # fmt: skip
            yield f"{name}.{method}", getattr(space, method), arguments
    yield "from_distances", from_distances, [torch.ones(6, 6) - torch.eye(6)]


def calls_of_regularizers():
    for regularizer in (
        Diffusion(),
        DifferenceOfGaussians(),
        Uniform(),
        Communicability(),
        Diffusion().permuted(1),
        Diffusion().permuted_in_pairs(1),
        Diffusion().normalized(),
        Diffusion().relative(),
        0.5 * Diffusion() + 1,
    ):
        yield repr(regularizer), lambda x, y, r=regularizer: r(Torus(), x, y), [POINTS, POINTS]
        yield repr(regularizer), lambda x, r=regularizer: r(Torus(), x), [POINTS]
        yield repr(regularizer), lambda w, r=regularizer: r(Torus(), POINTS, weight=w), [WEIGHT]
    yield "penalty", regularizers.penalty, [WEIGHT, COEFFICIENTS]
    yield "penalty", lambda w, c: regularizers.penalty(w, c, p=2), [WEIGHT, COEFFICIENTS]
    yield "proximal", lambda w, c: regularizers.proximal(w, c, 0.1), [WEIGHT, COEFFICIENTS]


def sparsifier(**options):
    return models.Sparsifier(nn.RNN(3, 6), Diffusion(), Torus(), **options)


def calls_of_models():
    yield "geometric_mask", lambda x: models.geometric_mask(Diffusion(), Torus(), x, sparsity=0.5), [POINTS]
    yield "graph_statistics", lambda m, x: models.graph_statistics(m, Torus(), x), [MASK, POINTS]
    yield "mask_graph", models.mask_graph, [MASK]
    yield "mask_overlap", models.mask_overlap, [MASK, MASK]
    yield "order_along", lambda x: models.order_along(Torus(), x), [POINTS]
    yield "rewired_mask", models.rewired_mask, [MASK]
    yield "tile_mask", lambda x: models.tile_mask(Torus(), x, sparsity=0.5), [POINTS]
    yield "wiring_length", lambda m, x: models.wiring_length(m, Torus(), x), [MASK, POINTS]
    yield "train_survivors", lambda m: models.train_survivors(nn.RNN(3, 6), {"weight_hh_l0": m}), [MASK]
    yield "sparse_rnn", lambda x: models.sparse_rnn("gru", 3, 6, sparsity=0.5, embedding=x), [POINTS]
    yield (
        "sparse_rnn, bridges",
        lambda x: models.sparse_rnn("rnn", 3, 6, sparsity=0.5, bridges=0.4, embedding=x),
        [POINTS],
    )
    rnn = models.sparse_rnn("rnn", 3, 6, sparsity=0.6, bridges=0.3)
    stored, dense = rnn.state_dict(), models.dense_state(rnn.state_dict())
    for key, value in stored.items():
        yield f"dense_state {key}", lambda t, key=key: models.dense_state(stored | {key: t}), [value]
    for key, value in dense.items():
        if value.dim() == 2:
            yield (
                f"sparse_state {key}",
                lambda t, key=key: models.sparse_state(dense | {key: t}, rnn),
                [value],
            )
    yield "masks=", lambda m: models.Sparsifier(nn.RNN(3, 6), masks={"weight_hh_l0": m}), [MASK]
    yield "embedding=", lambda x: sparsifier(sparsity=0.5, embedding={"weight_hh_l0": x}).penalty(), [POINTS]
    yield "embedding=", lambda x: sparsifier(sparsity=0.5, scope="recurrent", embedding=x).penalty(), [POINTS]
    state = sparsifier(sparsity=0.5).state_dict()
    for key, value in state.items():
        yield (
            "load_state_dict",
            lambda t, key=key: sparsifier(sparsity=0.5).load_state_dict(state | {key: t}),
            [value],
        )


@pytest.mark.parametrize("calls", [calls_of_manifolds, calls_of_regularizers, calls_of_models])
@pytest.mark.filterwarnings("ignore")  # what strange tensors make PyTorch warn of is not looked at here
def test_x4_odd_tensors(calls):
    tally = Tally(f"tensors: {calls.__name__[9:]}")
    for name, call, arguments in calls():
        for place, good in enumerate(arguments):
            for kind, odd in odd_tensors(good).items():
                given = [odd if index == place else each.clone() for index, each in enumerate(arguments)]
                attempt(tally, f"{name}, argument {place}: {kind}", partial(call, *given), lambda _: True)
    tally.require_none_silent()


ODD_ARGUMENTS = [
    None,
    True,
    -1,
    0,
    1.5,
    10**27,
    10**400,
    math.inf,
    math.nan,
    "x",
    "",
    [],
    [1, 2],
    {},
    {1},
    b"x",
    object(),
    1e308,
    1e-308,
    complex(1, 2),
    range(3),
    (1,),
    torch.tensor(2.0),
    torch.ones(2, 2),
    torch.empty(2, device="meta"),
    torch.ones(2, 2).to_sparse(),
    np.float32(3),
    {"name": "torus", "kwargs": {}},
    lambda d: d,
]


@pytest.mark.parametrize("registry", [MANIFOLDS, REGULARIZERS])
@pytest.mark.filterwarnings("ignore")  # numbers at the edge of what a float can hold overflow on purpose
def test_x4_odd_arguments_of_constructors(registry):
    tally = Tally(f"arguments of {registry.kind}s")

    def use(kind, arguments):
        thing = kind(*arguments) if isinstance(arguments, tuple) else kind(**arguments)
        repr(thing), hash(thing)
        space = thing if isinstance(thing, manifolds.Manifold) else Torus()
        points = space.random_point(3, seeded())
        return space.pairwise(points) if space is thing else thing(space, points)

    for name in sorted(registry.names()):
        kind = registry.get(name)
        if not kind.__module__.startswith("moduli."):
            continue
        for parameter in list(inspect.signature(kind.__init__).parameters.values())[1:]:
            for odd in ODD_ARGUMENTS:
                variadic = parameter.kind is parameter.VAR_POSITIONAL
                if parameter.kind is not parameter.VAR_KEYWORD:
                    arguments = (odd, odd) if variadic else {parameter.name: odd}
                    what = f"{name}({parameter.name}={odd!r:.60})"
                    attempt(tally, what, partial(use, kind, arguments), lambda _: True)
    tally.require_none_silent()


FUNCTIONS = {
    models.sparse_rnn: {"kind": "gru", "input_size": 2, "hidden_size": 6, "sparsity": 0.5},
    models.compress: {"model": nn.Linear(4, 4)},
    models.train_survivors: {"model": nn.Linear(6, 6), "masks": {"weight": MASK}},
    models.dense_state: {"state": nn.Linear(6, 6).state_dict()},
    models.sparse_state: {"state": nn.Linear(6, 6).state_dict(), "model": nn.Linear(6, 6)},
}


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
@pytest.mark.filterwarnings("ignore")  # PyTorch warns of dropout in one layer
def test_x4_odd_arguments_of_functions(function):
    tally, good = Tally(f"arguments of {function.__name__}"), FUNCTIONS[function]
    for name in inspect.signature(function).parameters:
        for odd in ODD_ARGUMENTS:
            what = f"{function.__name__}({name}={odd!r:.60})"
            attempt(tally, what, partial(function, **(good | {name: odd})), lambda _: True)
    tally.require_none_silent()


def test_a_function_that_checks_nothing_is_caught(monkeypatch):
    monkeypatch.setattr("moduli.manifolds.guards.require_points", lambda value, manifold: value)
    monkeypatch.setattr("moduli.manifolds.guards._require_agreement", lambda points, manifold: None)
    with pytest.raises(AssertionError, match="traceback"):
        test_x4_odd_tensors(calls_of_manifolds)


def test_further_arguments_of_a_method_are_its_author_s_own():
    class Line(manifolds.Euclidean):
        def contains(self, x, margin=0.0):
            return x[..., 0] > -margin

    assert Line(1).contains(torch.tensor([[-1.0]]), margin=2.0).all()
    with pytest.raises(manifolds.InvalidPoints, match="must be a tensor"):
        Line(1).contains([[-1.0]], margin=2.0)
