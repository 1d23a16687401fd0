"""Clause S13: wrong kinds of arguments fail at once, in the constructor, with one sentence that helps."""

import math

import pytest
import torch
from torch import nn

from moduli.errors import ModuliError
from moduli.manifolds import InvalidParameter, Torus, UnknownManifold
from moduli.manifolds.reading import read_manifold
from moduli.models import (
    CubicSchedule,
    Embedding,
    InvalidSchedule,
    InvalidSparsity,
    LinearSchedule,
    NothingToPrune,
    OneShotSchedule,
    Regrowth,
    Sparsifier,
    compress,
    geometric_mask,
    order_along,
    random_mask,
    train_survivors,
)
from moduli.regularizers import DifferenceOfGaussians, Diffusion, InvalidExpression
from tests.conftest import seeded

NOT_NUMBERS = [{}, "0.5", True, math.nan, None, [0.5]]


def rnn():
    return nn.RNN(3, 8)


def test_words_stand_for_what_they_name():
    sparsifier = Sparsifier(rnn(), "dog", "torus(dim=3, period=5.0)", schedule="one-shot")
    assert sparsifier.regularizer == DifferenceOfGaussians()
    assert sparsifier.manifold == Torus(3, 5.0)
    assert sparsifier.pruner.schedule == OneShotSchedule()
    patterns = Sparsifier(rnn(), {"*hh*": "0.5 * diffusion", "*ih*": None}, "torus")
    assert patterns.regularizer == {"*hh*": 0.5 * Diffusion(), "*ih*": None}
    points = Torus().random_point(8, seeded())
    assert torch.equal(
        geometric_mask("diffusion", "torus", points, sparsity=0.5),
        geometric_mask(Diffusion(), Torus(), points, sparsity=0.5),
    )
    assert torch.equal(order_along("torus", points), order_along(Torus(), points))
    assert Embedding("torus", 3).manifold == Torus()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"model": nn.RNN}, InvalidParameter, r"got the class RNN: call it, RNN\(…\)"),
        ({"model": "rnn"}, InvalidParameter, r"model must be a torch\.nn\.Module.*got 'rnn'"),
        ({"regularizer": Diffusion}, InvalidParameter, "got the class Diffusion: call it"),
        ({"regularizer": 0.5}, InvalidParameter, r"regularizer must be .* got 0\.5"),
        ({"regularizer": "dgo"}, InvalidExpression, "did you mean 'dog'"),
        ({"regularizer": {"*": 3}}, InvalidParameter, "regularizer must be .* got 3"),
        ({"regularizer": {3: Diffusion()}}, InvalidParameter, "Each key of regularizer"),
        ({"manifold": Torus}, InvalidParameter, "got the class Torus: call it"),
        ({"manifold": "tours"}, UnknownManifold, "did you mean 'torus'"),
        ({"manifold": "torus(3)"}, InvalidParameter, r"write torus or torus\(dim=6\)"),
        ({"manifold": 2}, InvalidParameter, "manifold must be .* got 2"),
        ({"schedule": "cubic"}, InvalidSchedule, r"write CubicSchedule\(begin=0, end=1000\)"),
        ({"schedule": "cubc"}, InvalidSchedule, "did you mean 'cubic'"),
        ({"schedule": CubicSchedule}, InvalidSchedule, "got the class CubicSchedule"),
        ({"schedule": 7000}, InvalidSchedule, "a function from the number of steps .* got 7000"),
        ({"scope": 3}, InvalidParameter, "Unknown scope 3"),
        ({"score": 3}, InvalidParameter, "score must be a word or a function"),
        ({"score": Diffusion}, InvalidParameter, "got the class Diffusion"),
        ({"seed": 0.5}, InvalidParameter, r"seed must be an integer .* got 0\.5"),
        ({"seed": True}, InvalidParameter, "seed must be an integer .* got True"),
        ({"seed": 2**70}, InvalidParameter, "seed must be an integer of at most 64 bits"),
        ({"granularity": True}, InvalidParameter, "granularity must be a positive integer, got True"),
        ({"regrowth": 0.3}, InvalidParameter, r"regrowth must be a Regrowth.* got 0\.3"),
        ({"regrowth": Regrowth}, InvalidParameter, "got the class Regrowth"),
        (
            {"masks": torch.ones(8, 8)},
            InvalidParameter,
            "masks must be a mapping .* got an object of type Tensor",
        ),
        (
            {"masks": {"weight_hh_l0": [[1]]}},
            InvalidParameter,
            "mask of weight_hh_l0 must be a tensor.* type list",
        ),
        ({"masks": {0: torch.ones(8, 8)}}, InvalidParameter, "Each name in masks must be a string.* got 0"),
        ({"masks": {"*hh*": torch.ones(8, 8)}}, NothingToPrune, r"called '\*hh\*'"),
        ({"masks": {}}, NothingToPrune, "No weight is named"),
        ({"manifold": None, "embedding": torch.ones(8, 2)}, InvalidParameter, "embedding needs the manifold"),
    ],
)
def test_wrong_kinds_are_refused_in_the_constructor(options, error, message):
    arguments = {"model": rnn(), "manifold": Torus()} | options
    with pytest.raises(error, match=message) as caught:
        Sparsifier(**arguments)
    assert isinstance(caught.value, ModuliError)


@pytest.mark.parametrize("value", NOT_NUMBERS)
def test_numbers_are_numbers(value):
    if value is not None:  # the default
        with pytest.raises(InvalidSparsity, match=r"in \[0, 1\); got"):
            Sparsifier(rnn(), sparsity=value)
    with pytest.raises(InvalidParameter, match="strength must be a non-negative finite number"):
        Sparsifier(rnn(), strength=value)
    with pytest.raises(InvalidSparsity):
        random_mask(3, 3, sparsity=value)
    with pytest.raises(InvalidSparsity):
        geometric_mask(Diffusion(), Torus(), torch.zeros(3, 2), sparsity=value)
    with pytest.raises(InvalidParameter, match="n_sources must be a positive integer"):
        random_mask(3, value, sparsity=0.5)
    for kind in (LinearSchedule, CubicSchedule):
        with pytest.raises(InvalidSchedule, match=f"{kind.__name__}: begin must be a step"):
            kind(value, 5)
    with pytest.raises(InvalidSchedule, match="OneShotSchedule: at must be a step"):
        OneShotSchedule(value)
    with pytest.raises(InvalidParameter, match="Regrowth: end must be a positive integer"):
        Regrowth(end=value)
    with pytest.raises(InvalidParameter, match="Regrowth: share must be a number in"):
        Regrowth(end=3, share=value)
    with pytest.raises(InvalidParameter, match="Embedding: n must be a positive integer"):
        Embedding(Torus(), value)
    if value is not True:
        with pytest.raises(InvalidParameter, match="batch_size must be at least 1"):
            compress(rnn(), value)


def test_other_functions_name_what_they_were_given():
    for call, message in [
        (lambda: order_along(Torus, torch.zeros(3, 2)), "got the class Torus"),
        (lambda: order_along(Torus(), [[0.0, 0.0]]), r"expected a tensor \(n, 2\), got list"),
        (
            lambda: geometric_mask(Diffusion, Torus(), torch.zeros(3, 2), sparsity=0.5),
            "got the class Diffusion",
        ),
        (lambda: geometric_mask(Diffusion(), Torus(), "three", sparsity=0.5), "expected a tensor"),
        (lambda: random_mask(3, 3, sparsity=0.5, seed="0"), "seed must be an integer"),
        (lambda: compress(nn.RNN), "got the class RNN"),
        (lambda: compress(rnn(), True), "batch_size must be at least 1, got True"),
        (lambda: train_survivors(rnn(), torch.ones(8, 8)), "masks must be a mapping"),
        (lambda: train_survivors("rnn", {}), "model must be a torch"),
        (lambda: Embedding(Torus, 3), "got the class Torus"),
        (lambda: Embedding(Torus(), 3, learn="yes"), "learn must be True or False; got 'yes'"),
        (lambda: Embedding(Torus(), 3, seed=None), "seed must be an integer .* got None"),
    ]:
        with pytest.raises(ModuliError, match=message):
            call()


def test_masks_and_what_they_say_themselves_exclude_each_other():
    masks = {"weight_hh_l0": torch.eye(8)}
    for options in ({"sparsity": 0.5}, {"schedule": CubicSchedule(0, 5)}):
        with pytest.raises(InvalidParameter, match=f"leave out {next(iter(options))}="):
            Sparsifier(rnn(), masks=masks, **options)


def test_a_schedule_that_returns_no_fraction_is_named():
    with pytest.raises(InvalidSchedule, match="returned 'half' at step 1"):
        Sparsifier(rnn(), schedule=lambda step: "half").step()
    Sparsifier(rnn(), schedule=lambda step: step > 3).step()  # a boolean is 0 or 1
    with pytest.raises(InvalidParameter, match=r"a tensor of weight_ih_l0's shape; got 3"):
        Sparsifier(rnn(), score=lambda weight, coefficients: 3).step()


@pytest.mark.parametrize(
    "text",
    ["", "torus(", "torus + circle", "torus(3)", "torus(**{'dim': 3})", "torus(dim=dim)", "pkg:Class",
     "scaled(manifold={'name': 'os:system', 'kwargs': {}}, factor=2.0)", "torus().circle", "[torus]"],
)  # fmt: skip
def test_a_text_that_describes_no_manifold_is_refused(text):
    with pytest.raises(InvalidParameter, match="does not describe a manifold"):
        read_manifold(text)


def test_a_manifold_s_own_parameters_are_checked():
    with pytest.raises(ModuliError, match="did you mean 'dim'"):
        read_manifold("torus(dimm=3)")
    assert read_manifold(" torus ") == Torus()
