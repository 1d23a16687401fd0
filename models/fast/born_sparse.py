"""Recurrent modules that are block-sparse from birth: their dense matrices never exist."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy
import torch
from torch import Tensor, nn

from moduli.errors import InvalidParameter
from moduli.manifolds import Manifold
from moduli.manifolds.tensors import require_tensor
from moduli.models.arguments import as_manifold, as_sparsity
from moduli.models.errors import InvalidEmbedding, InvalidSparsity, StateMismatch
from moduli.models.fast.block_diagonal import BlockDiagonalKernel
from moduli.models.fast.communities import Community, Numbers
from moduli.models.fast.kernel import Kernel, coordinates
from moduli.models.fast.kernels import DenseKernel, SparseKernel
from moduli.models.fast.recurrent import SparseRecurrent
from moduli.models.fast.sparse_training import TrainableKernel
from moduli.models.masks.bridges import nearest_across
from moduli.models.masks.tiles import tiles_of, tiles_wanted
from moduli.requirements import require_choice, require_dimension, require_seed
from moduli.showing import shown

KINDS: dict[str, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


class TiledRecurrent(SparseRecurrent):
    """A recurrent module in which neurons of one tile of a manifold are connected; see `sparse_rnn`.

    It is called like ``nn.RNN``, ``nn.GRU`` or ``nn.LSTM``, and has their attributes. All layers and
    directions have the same tiles and bridges: in each, and from each to the next, a tile is one block of
    weights.

    Parameters
    ----------
    module : nn.RNN, nn.GRU or nn.LSTM
        What it is to be, on the meta device: a module without memory.
    manifold : Manifold
        The space.
    embedding : Tensor
        Points of the neurons, ``(hidden_size, *point_shape)``.
    tile : Tensor
        The number of each neuron's tile, int64 ``(hidden_size,)``; every tile has a neuron.
    bridges : Tensor
        Pairs of neurons of different tiles that are connected as well, int64 ``(2, n)``, each once.
    device : torch.device
        Where its weights are.

    Attributes
    ----------
    manifold : Manifold
        The space.
    embedding : Tensor
        Points of the neurons; no part of the state, since seed and size bring them back.
    tile : Tensor
        The number of each neuron's tile, int64 ``(hidden_size,)``.
    """

    embedding: Tensor
    tile: Tensor
    weight_hh_l0: BlockDiagonalKernel

    def __init__(
        self,
        module: nn.RNNBase,
        manifold: Manifold,
        embedding: Tensor,
        tile: Tensor,
        bridges: Tensor,
        device: torch.device,
    ) -> None:
        order = tile.argsort(stable=True).cpu().numpy()
        members = numpy.split(order, numpy.cumsum(tile.bincount().cpu().numpy())[:-1])
        both_ways = torch.cat([bridges, bridges.flip(0)], dim=1).cpu()

        def make_kernel(name: str, weight: Tensor) -> Kernel:
            if name.startswith("weight_ih_l0"):
                return DenseKernel(nn.Parameter(torch.empty_like(weight, device=device)))
            return _of_tiles(weight, members, both_ways).to(device=device, dtype=weight.dtype)

        super().__init__(module, make_kernel)
        for name, bias in list(self._parameters.items()):
            if bias is not None:
                self.register_parameter(name, nn.Parameter(torch.empty_like(bias, device=device)))
        self.manifold = manifold
        self._alive = sum(len(neurons) ** 2 for neurons in members) + both_ways.shape[1]
        self.register_buffer("embedding", embedding.detach().to(device), persistent=False)
        self.register_buffer("tile", tile.to(device), persistent=False)
        self.register_load_state_dict_pre_hook(_check_tiles)  # type: ignore[no-untyped-call]
        self.reset_parameters()

    @property
    def mask(self) -> Tensor:
        """Where one neuron reads another, as a sparse tensor of booleans ``(hidden_size, hidden_size)``."""
        places = self.weight_hh_l0.to_sparse().detach().indices()
        places = places[:, places[0] < self.hidden_size]  # the first gate's; all have the same
        alive = torch.ones_like(places[0], dtype=torch.bool)
        return coordinates(places, alive, (self.hidden_size, self.hidden_size))

    @property
    def sparsity(self) -> float:
        """Fraction of zeros in a recurrent weight."""
        return 1 - self._alive / self.hidden_size**2

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw all weights anew, as PyTorch does: uniformly up to ``1 / sqrt(hidden_size)`` in size.

        Weights in blocks are larger, by the square root of all inputs over those that are there, so that sums
        have the variance of a dense module's (Evci et al., arXiv 2010.03533, section 3).

        Raises
        ------
        StateMismatch
            If the module has lost where its weights are, as by ``to_empty``.
        """
        _check_intact(self)
        bound = 1 / math.sqrt(self.hidden_size)
        for module in self.modules():
            if isinstance(module, BlockDiagonalKernel):
                module.draw(bound)
            elif not isinstance(module, SparseKernel):  # those are the rests, which their blocks draw
                for parameter in module.parameters(recurse=False):
                    parameter.uniform_(-bound, bound)

    def extra_repr(self) -> str:
        """Return kind, size, sparsity and manifold."""
        return f"{super().extra_repr()}, sparsity={self.sparsity:.4g}, manifold={self.manifold!r}"


def sparse_rnn(
    kind: str,
    input_size: int,
    hidden_size: int,
    num_layers: int = 1,
    *,
    manifold: Manifold | str = "torus",
    sparsity: float = 0.9,
    bridges: float = 0.0,
    embedding: Tensor | None = None,
    seed: int = 0,
    nonlinearity: str = "tanh",
    bias: bool = True,
    batch_first: bool = False,
    dropout: float = 0.0,
    bidirectional: bool = False,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> TiledRecurrent:
    """Return a recurrent module that is sparse from birth, and as fast and small as its weights are few.

    Its neurons are placed on a manifold, which is cut into tiles of equally many; those of one tile are
    connected, as `tile_mask` has it, and so are those of a tile in one layer and the next. A tile is a dense
    block, and all blocks are one batched product. Nothing of size ``hidden_size²`` is ever allocated.

    Parameters
    ----------
    kind : {"rnn", "gru", "lstm"}
        Whose equations it has: those of ``nn.RNN``, ``nn.GRU`` or ``nn.LSTM``.
    input_size, hidden_size, num_layers : int
        Number of inputs, of neurons in a layer, and of layers.
    manifold : Manifold or str
        Where the neurons are placed, or its name.
    sparsity : float
        Fraction of zeros in a recurrent weight; met as nearly as whole tiles can, or with bridges exactly, to
        within one pair.
    bridges : float
        About which share of the weights connects different tiles, in [0, 1), as `tile_mask` has it: there are
        more tiles then, and what they leave connects the nearest neurons beyond their borders. Tiles
        are whole, so that with few of them the share is coarse: at a sparsity of 0.5 a tenth is none.
    embedding : Tensor, optional
        Points of the neurons, ``(hidden_size, *point_shape)``; drawn at random when absent.
    seed : int
        Seed of the random points, and of the choice among bridges of equal length. Weights are drawn as by
        PyTorch's modules, after ``torch.manual_seed``.
    nonlinearity : {"tanh", "relu"}
        That of kind ``"rnn"``.
    bias, batch_first, dropout, bidirectional, device, dtype
        As for PyTorch's module.

    Returns
    -------
    TiledRecurrent
        Called like PyTorch's module, with its attributes, and with ``embedding``, ``tile``, ``mask`` and
        ``sparsity``. `dense_state` of its state is that of PyTorch's module.

    Raises
    ------
    InvalidSparsity
        If the sparsity is outside its domain, leaves fewer than two tiles, or needs more tiles than neurons.
    InvalidEmbedding
        If there are not as many points as neurons.
    InvalidPoints
        If the points are not on the manifold.
    InvalidParameter
        If another argument is of another kind or outside its domain.

    Examples
    --------
    >>> rnn = sparse_rnn("gru", 3, 200, sparsity=0.9)
    >>> output, state = rnn(torch.randn(5, 2, 3))
    >>> output.shape, len(rnn.tile.unique()), rnn.mask.values().numel()
    (torch.Size([5, 2, 200]), 10, 4000)
    """
    require_choice("kind", kind, tuple(KINDS))
    require_choice("nonlinearity", nonlinearity, ("tanh", "relu") if kind == "rnn" else ("tanh",))
    for name, flag in {"bias": bias, "batch_first": batch_first, "bidirectional": bidirectional}.items():
        if not isinstance(flag, bool):
            raise InvalidParameter(f"sparse_rnn: {name} must be True or False, got {shown(flag)}.")
    for name, value in {
        "input_size": input_size,
        "hidden_size": hidden_size,
        "num_layers": num_layers,
    }.items():
        require_dimension("sparse_rnn", value, name)
    manifold = as_manifold(manifold)
    tiles = tiles_wanted(hidden_size, as_sparsity(sparsity), bridges)
    seed = require_seed(seed)
    if round(1 / (1 - sparsity)) > hidden_size:
        raise InvalidSparsity(
            f"{hidden_size} neurons are {hidden_size} tiles at most, so that sparsity is at most "
            f"{1 - 1 / hidden_size:.6g}; got {sparsity!r}."
        )
    if embedding is None:
        embedding = manifold.random_point(hidden_size, generator=torch.Generator().manual_seed(seed))
    manifold.check_points(embedding, "The embedding")
    require_tensor(embedding, "The embedding", with_values=True)
    if len(embedding) != hidden_size:
        raise InvalidEmbedding(f"{hidden_size} neurons need as many points, got {len(embedding)}.")
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise InvalidParameter(
            f"sparse_rnn: dtype must be a torch.dtype, and floating-point, got {shown(dtype)}."
        )
    options = {"nonlinearity": nonlinearity} if kind == "rnn" else {}
    try:
        where = torch.empty(0, device=device).device
        module = KINDS[kind](
            input_size,
            hidden_size,
            num_layers,
            bias=bias,
            batch_first=batch_first,
            dropout=dropout,
            bidirectional=bidirectional,
            device="meta",
            dtype=dtype,
            **options,
        )
    except (OverflowError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise InvalidParameter(f"sparse_rnn: {reason}.") from error
    points = embedding.detach().clone()
    with torch.no_grad():
        tile = tiles_of(manifold, points, tiles)
    left = _pairs_left(tile, sparsity) if bridges else 0
    return TiledRecurrent(
        module, manifold, points, tile, nearest_across(manifold, points, tile, left, seed), where
    )


def _check_intact(module: nn.Module) -> None:
    """Raise `StateMismatch` if a module has lost where its weights are."""
    for name, kernel in module.named_modules():
        known = not isinstance(kernel, BlockDiagonalKernel) or kernel.size.is_meta
        if not known and kernel.size.tolist() != list(kernel.shape):
            raise StateMismatch(
                f"{name} has lost where its weights are, as to_empty() does; make the module on its device, "
                "by sparse_rnn(..., device=...)."
            )


def _pairs_left(tile: Tensor, sparsity: float) -> int:
    """Return how many pairs of neurons of different tiles a sparsity leaves room for."""
    n = len(tile)
    within = (int(tile.bincount().square().sum()) - n) // 2
    return max(0, round((n * n - round(sparsity * n * n) - n) / 2) - within)


def _check_tiles(module: TiledRecurrent, state: Mapping[str, Tensor], prefix: str, *_: object) -> None:
    """Raise before a state is loaded whose weights connect other neurons than the module's do.

    Raises
    ------
    StateMismatch
        Naming what brings such a state into the module.
    """
    own = module.weight_hh_l0.state_dict()
    for part, tensor in own.items():
        theirs = state.get(f"{prefix}weight_hh_l0.{part}")
        if theirs is None or part.endswith("values") or theirs.is_meta or tensor.is_meta:
            continue
        if theirs.shape == tensor.shape and not torch.equal(theirs.to(tensor), tensor):
            raise StateMismatch(
                f"The state's {prefix}weight_hh_l0 connects other neurons than the module's, or in another "
                "order; make the module with the same manifold, sparsity, bridges, seed and embedding, or "
                "load sparse_state(dense_state(state), model) if only the order differs."
            )


def _of_tiles(weight: Tensor, members: Sequence[Numbers], bridges: Tensor) -> BlockDiagonalKernel:
    """Return the kernel of a weight between tiles; its rows stack gates, and its columns directions.

    Bridges lead from their second neuron to their first, ``(2, n)``.
    """
    size = sum(map(len, members))
    stacked = [range(0, length, size) for length in weight.shape]
    communities = [
        Community(*(numpy.concatenate([tile + shift for shift in shifts]) for shifts in stacked))
        for tile in members
    ]
    kernel = BlockDiagonalKernel(weight.shape, communities, len(stacked[0]))
    if bridges.shape[1]:
        shifts = torch.cartesian_prod(*map(torch.tensor, stacked)).view(-1, 2, 1)
        rows, columns = (bridges + shifts).transpose(0, 1).flatten(1)
        inside = torch.stack([kernel.target_places[rows], kernel.source_places[columns]])
        shape = (len(kernel.targets), len(kernel.sources))
        kernel.rest = TrainableKernel(coordinates(inside, torch.zeros(inside.shape[1]), shape))
    return kernel
