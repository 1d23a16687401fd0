"""Grid scores: how hexagonal a rate map is.

The spatial autocorrelogram of a hexagonal map looks the same after a turn by 60 or 120 degrees, and
different after 30, 90 or 150 (Sargolini et al., Science 2006; Banino et al., Nature 2018, methods).
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

ALIKE = (60, 120)
"""Turns, in degrees, after which a hexagonal autocorrelogram correlates with itself."""
UNLIKE = (30, 90, 150)
"""Turns, in degrees, after which it does not."""
INNER_RADIUS = 0.2
"""Inner radius of every ring, as a share of the map's side: it leaves the central peak out."""
OUTER_RADII = tuple(0.4 + 0.6 * step / 9 for step in range(10))
"""Outer radii of the rings that are tried, as shares of the map's side (Banino et al.)."""
LEAST_VARIANCE = 1e-12
"""Variance below which a map, relative to its mean square, is constant but for rounding."""


def autocorrelogram(maps: Tensor) -> Tensor:
    """Return how each map correlates with itself when shifted.

    Parameters
    ----------
    maps : Tensor
        Rate maps ``(units, bins, bins)``; bins that were never visited are NaN.

    Returns
    -------
    Tensor
        Pearson's correlation over the bins that a map and its shifted copy share,
        ``(units, 2 bins - 1, 2 bins - 1)``, with no shift at the centre; 0 where there is too
        little overlap to tell, or no variation.
    """
    bins = maps.shape[-1]
    size = (2 * bins - 1, 2 * bins - 1)
    visited = (~maps.isnan()).to(torch.float64)
    # Correlations do not see an offset, and rounding is least about the mean.
    centred = (maps - maps.nanmean(dim=(-2, -1), keepdim=True)).to(torch.float64).nan_to_num()
    spectra = [torch.fft.rfft2(values, s=size) for values in (centred, centred.square(), visited)]
    value, square, here = spectra

    def shifted(first: Tensor, second: Tensor) -> Tensor:
        sums: Tensor = torch.fft.irfft2(first * second.conj(), s=size)
        return sums.roll((bins - 1, bins - 1), dims=(-2, -1))

    count = shifted(here, here).round()
    mean, other_mean = shifted(value, here) / count, shifted(here, value) / count
    variance = shifted(square, here) / count - mean.square()
    other_variance = shifted(here, square) / count - other_mean.square()
    correlation = (shifted(value, value) / count - mean * other_mean) / (variance * other_variance).sqrt()
    scale = centred.square().mean(dim=(-2, -1), keepdim=True)
    known = (count > 1) & (variance.minimum(other_variance) > LEAST_VARIANCE * scale)
    return torch.where(known, correlation, 0).to(maps.dtype)


def grid_scores(maps: Tensor) -> Tensor:
    """Return how hexagonal each map is.

    The score is the mean correlation of the map's autocorrelogram with itself turned by 60 and 120
    degrees, less the mean for 30, 90 and 150 degrees, within a ring about the centre; the greatest
    over rings of ten outer radii: the variant of Banino et al., which takes means. That of Sargolini et al.,
    the smallest correlation for 60 and 120 degrees less the largest of the others, gives smaller numbers. A
    hexagonal map of several fields comes near 1.5, a square one near -0.3.

    Parameters
    ----------
    maps : Tensor
        Rate maps ``(units, bins, bins)``; bins that were never visited are NaN.

    Returns
    -------
    Tensor
        Scores ``(units,)`` in [-2, 2]; NaN for a map that is constant.
    """
    images = autocorrelogram(maps)
    bins, size = maps.shape[-1], images.shape[-1]
    radius = torch.arange(1 - bins, bins, device=maps.device, dtype=maps.dtype) / bins
    distance = (radius[:, None].square() + radius.square()).sqrt()
    rings = torch.stack([(distance > INNER_RADIUS) & (distance <= outer) for outer in OUTER_RADII])
    weights = (rings / rings.sum(dim=(-2, -1), keepdim=True)).to(images).flatten(1)
    flat = images.flatten(1)

    def correlation(degrees: int) -> Tensor:
        """Return Pearson's correlation, in each ring, with the turned image; ``(units, rings)``."""
        turned = _turned(images, degrees).flatten(1)
        mean, other_mean = flat @ weights.T, turned @ weights.T
        covariance = (flat * turned) @ weights.T - mean * other_mean
        variance = flat.square() @ weights.T - mean.square()
        other_variance = turned.square() @ weights.T - other_mean.square()
        return covariance / (variance * other_variance).clamp(min=torch.finfo(flat.dtype).tiny).sqrt()

    def mean_correlation(turns: tuple[int, ...]) -> Tensor:
        return torch.stack([correlation(degrees) for degrees in turns]).mean(dim=0)

    scores = (mean_correlation(ALIKE) - mean_correlation(UNLIKE)).amax(dim=-1)
    middle = images[:, size // 2, size // 2]  # 1 wherever there is any variation
    return torch.where(middle > 0, scores, torch.nan)


def null_maps(maps: Tensor, generator: torch.Generator) -> Tensor:
    """Return random maps as coarse and as smooth as given ones, but with no direction of their own.

    Gaussian random fields whose power at each spatial frequency is the given map's mean power over
    all directions; what tells a hexagon from other patterns of the same scale is lost. Shuffled
    bins would be no such control: smooth maps of whatever shape score higher than white noise.

    Parameters
    ----------
    maps : Tensor
        Rate maps ``(units, bins, bins)``; bins that were never visited are NaN, and stay so.
    generator : torch.Generator
        Source of randomness, on the device of the maps.

    Returns
    -------
    Tensor
        Maps ``(units, bins, bins)``.
    """
    bins = maps.shape[-1]
    centred = (maps - maps.nanmean(dim=(-2, -1), keepdim=True)).nan_to_num()
    power = torch.fft.fft2(centred).abs().square().flatten(1)
    frequency = torch.fft.fftfreq(bins, 1 / bins, device=maps.device)
    radius = (frequency[:, None].square() + frequency.square()).sqrt().round().long().flatten()
    members = torch.bincount(radius)
    mean_power = power.new_zeros(len(maps), len(members)).index_add_(1, radius, power) / members
    noise = torch.randn(maps.shape, generator=generator, device=maps.device, dtype=maps.dtype)
    amplitude = mean_power[:, radius].sqrt().unflatten(-1, (bins, bins))
    fields = torch.fft.ifft2(torch.fft.fft2(noise) * amplitude).real
    return torch.where(maps.isnan(), torch.nan, fields)


def _turned(images: Tensor, degrees: int) -> Tensor:
    angle = math.radians(degrees)
    cosine, sine = math.cos(angle), math.sin(angle)
    turn = images.new_tensor([[cosine, -sine, 0.0], [sine, cosine, 0.0]])
    size = list(images.shape[-2:])
    grid = affine_grid(turn[None], [1, 1, *size], align_corners=True)
    # The images turn alike: they are the channels of one.
    return grid_sample(images[None], grid, align_corners=True)[0]


def score_by_chance(maps: Tensor, generator: torch.Generator) -> float | None:
    """Return the grid score above which 5% of random maps are, as many as units are active.

    Parameters
    ----------
    maps : Tensor
        Rate maps ``(units, bins, bins)``.
    generator : torch.Generator
        Source of the random maps, see `null_maps`.

    Returns
    -------
    float or None
        The 95th percentile of their scores; None where no unit is active.
    """
    scored = ~grid_scores(maps).isnan()
    if not scored.any():
        return None
    return float(grid_scores(null_maps(maps[scored], generator)).nanquantile(0.95))
