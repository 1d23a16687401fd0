"""Spaces of many kinds, as users write them: good ones, and ones that are broken where users call them."""

import math

import networkx
import numpy as np
import torch
from torch.linalg import vector_norm

from moduli.manifolds import (
    SPD,
    Circle,
    Euclidean,
    Manifold,
    Product,
    Scaled,
    Sphere,
    Torus,
    from_distances,
    from_graph,
    from_mesh,
)


def draw(n, *shape, generator=None):
    return torch.rand(n, *shape, generator=generator)


class Own(Manifold):
    """A space of two members' length: a distance, and points uniform in a box unless said otherwise."""

    point_shape = (2,)

    def random_point(self, n, generator=None):
        return draw(n, *self.point_shape, generator=generator)


class Line(Own):
    """Points are scalars."""

    point_shape = ()

    def distance(self, x, y):
        return (x - y).abs()


class Angle(Line):
    def distance(self, x, y):
        turn = (x - y).remainder(2 * torch.pi)
        return torch.minimum(turn, 2 * torch.pi - turn)

    def random_point(self, n, generator=None):
        return 2 * torch.pi * draw(n, generator=generator)


class Frobenius(Own):
    point_shape = (2, 3)

    def distance(self, x, y):
        return vector_norm(x - y, dim=(-2, -1))


class Taxicab(Own):
    point_shape = (3,)

    def distance(self, x, y):
        return (x - y).abs().sum(-1)


class Chessboard(Taxicab):
    def distance(self, x, y):
        return (x - y).abs().amax(-1)


class Snowflake(Own):
    """The square root of a distance, with a finite gradient where it is zero."""

    def distance(self, x, y):
        d = vector_norm(x - y, dim=-1)
        return torch.where(d > 0, torch.where(d > 0, d, 1).sqrt(), 0)


class Discrete(Own):
    def distance(self, x, y):
        return (x != y).any(-1).to(x.dtype)


class Dyadic(Own):
    """Whole numbers below 256, with the 2-adic ultrametric."""

    point_shape = (1,)

    def distance(self, x, y):
        gap = (x - y)[..., 0].detach().abs().long()
        return torch.where(gap > 0, (gap & -gap).clamp(min=1).to(x.dtype).reciprocal(), 0)

    def random_point(self, n, generator=None):
        return torch.randint(256, (n, 1), generator=generator).to(torch.get_default_dtype())


class Codes(Own):
    """Words of twelve bits, with Hamming's distance."""

    point_shape = (12,)

    def distance(self, x, y):
        return (x - y).abs().sum(-1)

    def random_point(self, n, generator=None):
        return torch.randint(2, (n, 12), generator=generator).to(torch.get_default_dtype())


class Permutations(Own):
    """Rankings of five things, with Spearman's footrule; what is not a ranking raises."""

    point_shape = (5,)

    def distance(self, x, y):
        for points in (x, y):
            assert (points.sort(dim=-1).values == torch.arange(5).to(points)).all()
        return (x - y).abs().sum(-1)

    def random_point(self, n, generator=None):
        return draw(n, 5, generator=generator).argsort(-1).to(torch.get_default_dtype())


class Golomb(Own):
    """Whole numbers, not all of them: others raise."""

    point_shape = (1,)
    marks = torch.tensor([0.0, 1, 4, 9, 11])

    def distance(self, x, y):
        for points in (x, y):
            assert (points[..., None] == self.marks.to(points)).any(-1).all()
        return (x - y).abs()[..., 0]

    def random_point(self, n, generator=None):
        return self.marks[torch.randint(5, (n, 1), generator=generator)].to(torch.get_default_dtype())


class Spider(Own):
    """Three legs that meet: a point is a leg and its distance from the centre."""

    def distance(self, x, y):
        same = x[..., 0] == y[..., 0]
        return torch.where(same, (x[..., 1] - y[..., 1]).abs(), x[..., 1] + y[..., 1])

    def random_point(self, n, generator=None):
        leg = torch.randint(3, (n,), generator=generator).to(torch.get_default_dtype())
        return torch.stack([leg, draw(n, generator=generator)], -1)


class Railway(Own):
    """The French railway: from one place to another by way of Paris, unless on one line."""

    point_shape = (2,)

    def distance(self, x, y):
        x, y = torch.broadcast_tensors(x, y)
        aligned = (x[..., 0] * y[..., 1] == x[..., 1] * y[..., 0]) & ((x * y).sum(-1) >= 0)
        a, b = vector_norm(x, dim=-1), vector_norm(y, dim=-1)
        return torch.where(aligned, vector_norm(x - y, dim=-1), a + b)

    def random_point(self, n, generator=None):
        return torch.randn(n, 2, generator=generator)


class PoincareDisc(Own):
    """A disc that does not say where it ends; beyond, distances are NaN."""

    def distance(self, x, y):
        shrunk = (1 - x.square().sum(-1)) * (1 - y.square().sum(-1))
        return 2 * torch.asinh(vector_norm(x - y, dim=-1) / shrunk.sqrt())

    def random_point(self, n, generator=None):
        angle = 2 * torch.pi * draw(n, generator=generator)
        radius = 0.99 * draw(n, generator=generator).sqrt()
        return radius[:, None] * torch.stack([angle.cos(), angle.sin()], -1)


class Gaussians(Own):
    """Mean and standard deviation, with Fisher and Rao's metric: a half-plane, beyond which it is NaN."""

    def distance(self, x, y):
        chord = torch.stack([(x[..., 0] - y[..., 0]) / 2**0.5, x[..., 1] - y[..., 1]], -1)
        return 2 * 2**0.5 * torch.asinh(vector_norm(chord, dim=-1) / (2 * (x[..., 1] * y[..., 1]).sqrt()))

    def random_point(self, n, generator=None):
        mean = torch.randn(n, generator=generator)
        return torch.stack([mean, torch.exp(torch.randn(n, generator=generator))], -1)


class EllipseCurve(Own):
    """Points on an ellipse of the plane, with the length of the arc between them; off it, nothing holds."""

    def distance(self, x, y):
        s, t = (self.arc(torch.atan2(points[..., 1], points[..., 0] / 2)) for points in (x, y))
        turn = (s - t).abs()
        return torch.minimum(turn, self.arc(torch.tensor(2 * torch.pi, dtype=x.dtype)) - turn)

    def arc(self, angle):
        """Return the arc length by Fourier series of the speed."""
        nodes = torch.arange(64, dtype=torch.float64) * torch.pi / 32
        speed = (4 * nodes.sin().square() + nodes.cos().square()).sqrt()
        total = speed.mean().to(angle) * angle
        for k in range(1, 16):
            cosine = 2 * (speed * (k * nodes).cos()).mean().to(angle)
            total = total + cosine * (k * angle).sin() / k
        return total

    def random_point(self, n, generator=None):
        angle = 2 * torch.pi * draw(n, generator=generator)
        return torch.stack([2 * angle.cos(), angle.sin()], -1)


class Doughnut(Own):
    """A torus in space, with the flat metric of its two angles, which points off it share."""

    point_shape = (3,)

    def distance(self, x, y):
        turns = []
        for u, v in zip(self.angles(x), self.angles(y), strict=True):
            turn = (u - v).remainder(2 * torch.pi)
            turns.append(torch.minimum(turn, 2 * torch.pi - turn))
        return vector_norm(torch.stack(turns, -1), dim=-1)

    def angles(self, x):
        return torch.atan2(x[..., 1], x[..., 0]), torch.atan2(x[..., 2], vector_norm(x[..., :2], dim=-1) - 2)

    def random_point(self, n, generator=None):
        u, v = 2 * torch.pi * draw(2, n, generator=generator)
        return torch.stack([(2 + v.cos()) * u.cos(), (2 + v.cos()) * u.sin(), v.sin()], -1)


class BareSphere(Own):
    """A sphere of some dimension that does not say how to project onto it."""

    def __init__(self, dim=2):
        self.point_shape = (dim + 1,)

    def distance(self, x, y):
        return 2 * torch.atan2(vector_norm(x - y, dim=-1), vector_norm(x + y, dim=-1))

    def random_point(self, n, generator=None):
        return torch.nn.functional.normalize(torch.randn(n, *self.point_shape, generator=generator), dim=-1)


class TangentArc(torch.autograd.Function):
    """The angle between unit vectors, with a gradient that is tangent to the sphere, as the angle's is."""

    @staticmethod
    def forward(ctx, x, y):
        ctx.save_for_backward(x, y)
        return 2 * torch.atan2(vector_norm(x - y, dim=-1), vector_norm(x + y, dim=-1))

    @staticmethod
    def backward(ctx, grad):
        x, y = ctx.saved_tensors
        inner = (x * y).sum(-1, keepdim=True)
        along, back = y - inner * x, x - inner * y
        size = vector_norm(along, dim=-1, keepdim=True)
        size = torch.where(size > 0, size, 1)
        return -grad[..., None] * along / size, -grad[..., None] * back / size


class TangentSphere(BareSphere):
    def distance(self, x, y):
        return TangentArc.apply(*torch.broadcast_tensors(x, y))


class Simplex(Own):
    """Probability vectors with the distance of their square roots: NaN where one is negative."""

    point_shape = (4,)

    def distance(self, x, y):
        return vector_norm(x.sqrt() - y.sqrt(), dim=-1)

    def random_point(self, n, generator=None):
        weights = -(1 - draw(n, 4, generator=generator)).log() + 1e-3
        return weights / weights.sum(-1, keepdim=True)


class LogEuclidean(Own):
    """Symmetric matrices of positive eigenvalues, compared by their logarithms."""

    point_shape = (2, 2)
    verification_cases = 2**11

    def distance(self, x, y):
        return vector_norm(self.log(x) - self.log(y), dim=(-2, -1))

    def log(self, x):
        values, vectors = torch.linalg.eigh(x.detach())
        # log x = Σ log λ vvᵀ, to first order around where x is.
        values = values + (vectors.mT @ (x - x.detach()) @ vectors).diagonal(dim1=-2, dim2=-1)
        gap = values[..., :1] - values[..., 1:]
        mixing = (vectors.mT @ (x - x.detach()) @ vectors)[..., :1, 1:]
        ratio = (values[..., :1].log() - values[..., 1:].log()) / torch.where(gap == 0, 1, gap)
        off = mixing * torch.where(gap == 0, 1 / values[..., 1:], ratio).detach()[..., None]
        corner = torch.zeros_like(off)
        middle = values.log().diag_embed() + torch.cat(
            [torch.cat([corner, off], -1), torch.cat([off, corner], -1)], -2
        )
        return vectors @ middle @ vectors.mT

    def random_point(self, n, generator=None):
        a = torch.randn(n, 2, 2, generator=generator)
        return a @ a.mT + 0.1 * torch.eye(2)


class Wide(Own):
    """Many dimensions."""

    def __init__(self, dim):
        self.point_shape = (dim,)

    def distance(self, x, y):
        return vector_norm(x - y, dim=-1)


class FarAway(Own):
    """Coordinates of a million and a bit, and distances of a billionth."""

    def distance(self, x, y):
        return 1e-9 * vector_norm(x - y, dim=-1)

    def random_point(self, n, generator=None):
        return 1e6 + 1e3 * draw(n, 2, generator=generator)


class Blocks(Own):
    """A pairwise of its own that is right: rows in blocks, every pair by the exact formula."""

    def distance(self, x, y):
        return vector_norm(x - y, dim=-1)

    def pairwise(self, x, y=None):
        columns = x if y is None else y
        rows = [vector_norm(block[:, None] - columns[None], dim=-1) for block in x.split(100)]
        return torch.cat(rows) if y is not None else torch.cat(rows).fill_diagonal_(0)


class ExactCdist(Blocks):
    def pairwise(self, x, y=None):
        return torch.cdist(x, x if y is None else y, compute_mode="donot_use_mm_for_euclid_dist")


class ArcCosine(Sphere):
    """A Gram matrix of unit vectors: at radius 1 it loses half of the digits, and no more."""

    def pairwise(self, x, y=None):
        inner = (x @ (x if y is None else y).mT).clamp(-1, 1)
        flat = inner.abs() > 1 - 1e-12 if x.dtype == torch.float64 else inner.abs() > 1 - 1e-6
        arc = self.radius * torch.arccos(torch.where(flat, 0, inner))
        arc = torch.where(flat, torch.where(inner > 0, 0, self.radius * torch.pi), arc)
        return arc if y is not None else (arc.triu(1) + arc.triu(1).mT)


GOOD = {
    "scalars": Line(),
    "angles": Angle(),
    "matrices": Frobenius(),
    "taxicab": Taxicab(),
    "chessboard": Chessboard(),
    "snowflake": Snowflake(),
    "discrete": Discrete(),
    "ultrametric": Dyadic(),
    "codes": Codes(),
    "permutations": Permutations(),
    "marks": Golomb(),
    "spider": Spider(),
    "railway": Railway(),
    "disc": PoincareDisc(),
    "half-plane": Gaussians(),
    "ellipse": EllipseCurve(),
    "doughnut": Doughnut(),
    "tangent gradient": TangentSphere(),
    "simplex": Simplex(),
    "covariances": LogEuclidean(),
    "1000 dimensions": Wide(1000),
    "3000 dimensions": Wide(3000),
    "sphere of 60 dimensions": BareSphere(60),
    "sphere of 900 dimensions": BareSphere(900),
    "far away": FarAway(),
    "blocks": Blocks(),
    "exact cdist": ExactCdist(),
    "arc cosine": ArcCosine(2, 1.0),
    "unlike factors": Product(Circle(), from_graph(networkx.path_graph(5)), SPD(2), Euclidean(1)),
    "tiny": Scaled(Torus(2), 1e-7),
    "huge": Scaled(Sphere(), 1e7),
    "distances": from_distances(np.abs(np.subtract.outer([0.0, 1, 3, 7], [0.0, 1, 3, 7]))),
    "mesh": from_mesh(
        [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], [[0, 1, 2], [0, 1, 3], [0, 2, 3], [1, 2, 3]]
    ),
}


class CdistPairwise(Blocks):
    """torch.cdist changes its formula above 25 rows."""

    def random_point(self, n, generator=None):
        return 10 * super().random_point(n, generator)

    def pairwise(self, x, y=None):
        return torch.cdist(x, x if y is None else y)


def overriding(pairwise, base=Blocks):
    """Return a plane with another pairwise, a function of (manifold, x, y) and of the right matrix."""

    class Broken(base):
        def pairwise(self, x, y=None):
            return pairwise(super().pairwise(x, y), x, y)

    return Broken()


def past(limit):
    def wrong(matrix, x, y):
        beyond = torch.arange(len(x)) >= limit
        return torch.where(beyond[:, None] | (beyond if y is None else torch.tensor(False)), 0, matrix)

    return overriding(wrong)


class Stale(Blocks):
    """Remembers the matrix of the first points of each number."""

    def __init__(self):
        self.seen = {}

    def pairwise(self, x, y=None):
        key = (x.shape, None if y is None else y.shape, x.dtype)
        if key not in self.seen:
            self.seen[key] = super().pairwise(x, y)
        return self.seen[key]


class WithGradient(torch.autograd.Function):
    """Euclidean distance whose gradient is multiplied by given factors for x and y."""

    @staticmethod
    def forward(ctx, x, y, first, second):
        ctx.save_for_backward(x, y)
        ctx.factors = first, second
        return vector_norm(x - y, dim=-1)

    @staticmethod
    def backward(ctx, grad):
        x, y = ctx.saved_tensors
        size = vector_norm(x - y, dim=-1, keepdim=True)
        unit = grad[..., None] * (x - y) / torch.where(size > 0, size, 1)
        first, second = (torch.as_tensor(factor, dtype=x.dtype) for factor in ctx.factors)
        return first * unit, -second * unit, None, None


def with_gradient(first, second, dim=2):
    class Broken(Own):
        point_shape = (dim,)

        def distance(self, x, y):
            return WithGradient.apply(*torch.broadcast_tensors(x, y), first, second)

    return Broken()


def on_plane(distance, dim=2):
    """Return a space whose distance is a function of (x, y)."""

    class Broken(Own):
        point_shape = (dim,)

        def distance(self, x, y):
            return distance(x, y)

    return Broken()


def euclid(x, y):
    return vector_norm(x - y, dim=-1)


def pairs(x, y):
    return math.prod(torch.broadcast_shapes(x.shape, y.shape)[:-1])


def changing(change):
    """Return a plane whose distance also does something to x or y."""

    def distance(x, y):
        d = euclid(x, y)
        with torch.no_grad():
            change(x, y)
        return d

    return on_plane(distance)


def through_numpy(x, y):
    x.detach().numpy()[...] += 1e-3


def through_storage(x, y):
    memory = torch.empty(0, dtype=y.dtype).set_(y.detach().untyped_storage())
    memory[0] += 1


def only(condition, change):
    return lambda x, y: change(x, y) if condition(x, y) else None


class Lends(Own):
    """Keeps the points that it drew, and changes them later."""

    def random_point(self, n, generator=None):
        self.lent = super().random_point(n, generator)
        return self.lent

    def distance(self, x, y):
        if x.dim() > 1 and getattr(self, "lent", None) is not None and self.lent.numel():
            self.lent.mul_(0.5)
        return euclid(x, y)


def detached_axis(x, y):
    gap = x - y
    return vector_norm(torch.cat([gap[..., :1].detach(), gap[..., 1:]], -1), dim=-1)


def clamped(x, y):
    return torch.arccos((x * y).sum(-1).clamp(-1 + 1e-7, 1 - 1e-7))


class ClampedSphere(BareSphere):
    def distance(self, x, y):
        return clamped(x, y)


BROKEN = {
    # What `pairwise` returns.
    "cdist": ("pairwise", CdistPairwise()),
    "past row 100": ("pairwise", past(100)),
    "past row 128": ("pairwise", past(128)),
    "past row 256": ("pairwise", past(256)),
    "past row 1000": ("pairwise", past(1000)),
    "float64 matrices": ("pairwise", overriding(lambda m, x, y: m.double())),
    "float32 matrices": ("pairwise", overriding(lambda m, x, y: m.float())),
    "float64 rectangles": ("pairwise", overriding(lambda m, x, y: m if y is None else m.double())),
    "nan gradients": ("pairwise", overriding(
        lambda m, x, y: m if len(x) < 20 else
        (x[:, None] - (x if y is None else y)[None]).square().sum(-1).sqrt())),
    "no gradient": ("pairwise", overriding(lambda m, x, y: m.detach())),
    "twice the gradient": ("pairwise", overriding(lambda m, x, y: 2 * m - m.detach())),
    "no gradient for y": ("pairwise", overriding(
        lambda m, x, y: m if y is None else vector_norm(x[:, None] - y[None].detach(), dim=-1))),
    "wrong while recording": ("pairwise", overriding(lambda m, x, y: m * (1 + m.requires_grad))),
    "half precision": ("pairwise", overriding(
        lambda m, x, y: m if m.dtype == torch.float64 else m.bfloat16().to(m.dtype))),
    "asymmetric when large": ("pairwise", overriding(
        lambda m, x, y: m if y is not None or len(x) < 100 else m + 1e-13 * torch.ones_like(m).triu(1))),
    "diagonal when large": ("pairwise", overriding(
        lambda m, x, y: m if y is not None or len(x) < 100 else m + 1e-13 * torch.eye(len(x)))),
    "transposed": ("pairwise", overriding(
        lambda m, x, y: m if y is None or len(x) < 10 else m.flip(1))),
    "stale": ("pairwise", Stale()),
    "another metric": ("pairwise", overriding(
        lambda m, x, y: m if len(x) < 50 else torch.cdist(x, x if y is None else y, p=1.0))),
    "one pair of a million": ("pairwise", overriding(
        lambda m, x, y: m if len(x) < 500 or y is not None else m + (m == m.max()) * m.max())),
    # What `distance` returns for many pairs, and in other dtypes.
    "float64 when broadcasting": ("dtype", on_plane(
        lambda x, y: euclid(x, y).double() if x.shape != y.shape else euclid(x, y))),
    "float64 for grids": ("dtype", on_plane(
        lambda x, y: euclid(x, y).double() if max(x.dim(), y.dim()) > 2 else euclid(x, y))),
    "float64 above 100 pairs": ("dtype", on_plane(
        lambda x, y: euclid(x, y).double() if pairs(x, y) > 100 else euclid(x, y))),
    "float32 above 100 pairs": ("dtype", on_plane(
        lambda x, y: euclid(x, y).float() if pairs(x, y) > 100 else euclid(x, y))),
    "another formula above 100 pairs": ("broadcasting", on_plane(
        lambda x, y: (1 + (pairs(x, y) > 100)) * euclid(x, y))),
    "another formula above 5000 pairs": ("pairwise", on_plane(
        lambda x, y: (1 + (pairs(x, y) > 5000)) * euclid(x, y))),
    "forgets pairs": ("broadcasting", on_plane(
        lambda x, y: euclid(x, y) * (torch.arange(pairs(x, y)) < 100).reshape(euclid(x, y).shape))),
    # The value of the gradient.
    "wrong sign": ("slopes", with_gradient(-1, -1)),
    "twice": ("slopes", with_gradient(2, 2)),
    "one percent": ("slopes", with_gradient(1.01, 1.01)),
    "y is detached": ("slopes", with_gradient(1, 0)),
    "x is not used": ("slopes", on_plane(lambda x, y: euclid(x.detach(), y))),
    "an axis is detached": ("slopes", on_plane(detached_axis)),
    "an axis of 300 is detached": ("slopes", on_plane(detached_axis, 300)),
    "an axis of 1000 is detached": ("slopes", on_plane(detached_axis, 1000)),
    "scalars of wrong sign": ("slopes", type("Broken", (Line,), {
        "distance": lambda self, x, y: 2 * (x - y).abs().detach() - (x - y).abs()})()),
    "wrong in float32": ("slopes", on_plane(
        lambda x, y: euclid(x, y) if x.dtype == torch.float64 else
        2 * euclid(x, y).detach() - euclid(x, y))),
    "gradient of the square": ("slopes", on_plane(
        lambda x, y: euclid(x, y).detach() + euclid(x, y).square() - euclid(x, y).square().detach())),
    # Points that change.
    "shifts x": ("untouched", changing(lambda x, y: x.sub_(1e-3))),
    "shifts y": ("untouched", changing(lambda x, y: y.mul_(2))),
    "through numpy": ("untouched", changing(through_numpy)),
    "beside the points": ("untouched", changing(through_storage)),
    "many only": ("untouched", changing(only(lambda x, y: pairs(x, y) > 100, through_numpy))),
    "float32 only": ("untouched", changing(only(lambda x, y: x.dtype == torch.float32, through_numpy))),
    "recording only": ("untouched", changing(only(lambda x, y: x.requires_grad, through_numpy))),
    "grids only": ("untouched", changing(only(lambda x, y: x.dim() > 2, through_numpy))),
    "lent points": ("untouched", Lends()),
    # Scalars and many dimensions.
    "scalars squared": ("triangle", type("Broken", (Line,), {
        "distance": lambda self, x, y: (x - y).square()})()),
    "1000 dimensions squared": ("triangle", on_plane(lambda x, y: (x - y).square().sum(-1) ** 2, 1000)),
    "1000 dimensions asymmetric": ("symmetry", on_plane(
        lambda x, y: euclid(x, y) * (1 + 0.1 * (x[..., 0] > y[..., 0])), 1000)),
    "1000 dimensions clamped": ("identity", ClampedSphere(999)),
    "1000 dimensions ignore half": ("separation", on_plane(
        lambda x, y: euclid(x[..., ::2], y[..., ::2]), 1000)),
    "2000 dimensions without gradient at zero": ("gradients", on_plane(
        lambda x, y: (x - y).square().sum(-1).sqrt(), 2000)),
}  # fmt: skip
