"""Measure what penalties and composed regularizers cost, and which optimizers keep the geometry.

The penalty with its backward pass is compared with one fused elementwise pass that reads the
coefficients and the weight and writes a new tensor, in the same run. Times are medians. Tables are
printed in Markdown.
"""

import argparse
import resource
import statistics
import time
from collections.abc import Callable

import torch

from moduli.manifolds import Torus
from moduli.regularizers import (
    DifferenceOfGaussians,
    Diffusion,
    Gaussian,
    Regularizer,
    Ripple,
    Uniform,
    penalty,
    proximal,
)


def milliseconds(functions: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Return the median time of each function; they take turns, so that a busy moment hits all."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(repeats + 1):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            if turn:  # the first turn warms up
                times[name].append(1000 * (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in times.items()}


def peak_bytes() -> int:
    """Return the largest memory that this process has held so far."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def print_table(title: str, times: dict[str, float]) -> None:
    """Print times, and their ratio to the first."""
    unit = next(iter(times.values()))
    print(f"{title}\n\n| what | ms | ratio |\n| --- | ---: | ---: |")
    for name, value in times.items():
        print(f"| {name} | {value:.1f} | {value / unit:.2f} |")
    print()


def measure_penalty(neurons: int, repeats: int) -> None:
    """Compare the penalty with one pass over the memory, and measure the memory it takes."""
    small = torch.ones(8, 8, requires_grad=True)
    penalty(small, torch.ones(8, 8)).backward()  # what autograd allocates once
    weight = torch.randn(neurons, neurons, requires_grad=True)
    coefficients = torch.rand(neurons, neurons)

    def charge(function: Callable[..., torch.Tensor]) -> None:
        weight.grad = None
        function(weight, coefficients).backward()

    before = peak_bytes()
    charge(penalty)
    extra = (peak_bytes() - before) / (weight.numel() * weight.element_size())

    values = weight.detach()
    held = torch.zeros_like(values)
    times = milliseconds(
        {
            "`C * W` into new memory": lambda: coefficients * values,
            "`C * W` into memory already held": lambda: torch.mul(coefficients, values, out=held),
            "`penalty` with backward": lambda: charge(penalty),
            "`(C * W.abs()).mean()` with backward": lambda: charge(lambda w, c: (c * w.abs()).mean()),
        },
        repeats,
    )
    print_table(f"Weight of {neurons} x {neurons}, float32", times)
    print(f"Peak memory beyond W and C, gradient included: {extra:.2f} times the weight.\n")


def measure_composition(neurons: int, repeats: int) -> None:
    """Compare expressions of several terms with one distance matrix."""
    embedding = Torus().random_point(neurons, torch.Generator().manual_seed(0))
    terms = [Diffusion(), DifferenceOfGaussians(), Gaussian(), Ripple(), Uniform()]

    def coefficients(*regularizers: Regularizer) -> Callable[[], object]:
        return lambda: [regularizer(Torus(), embedding) for regularizer in regularizers]

    times = milliseconds(
        {
            "the distance matrix": lambda: Torus().pairwise(embedding),
            "1 term": coefficients(terms[0]),
            "3 terms in one expression": coefficients(terms[0] + terms[1] + terms[2]),
            "5 terms in one expression": coefficients(sum(terms[1:], start=terms[0])),
            "5 terms, each by itself": coefficients(*terms),
        },
        repeats,
    )
    print_table(f"Coefficients of {neurons} neurons on a torus", times)


def measure_optimizers(neurons: int = 64, steps: int = 100) -> None:
    """Shrink a linear map's weights; print the mean coefficient of the largest tenth of them."""
    points = Torus().random_point(neurons, torch.Generator().manual_seed(0))
    coefficients = Diffusion().normalized()(Torus(), points)
    cases = {
        "Adam, no penalty": ("Adam", 0.0, "penalty"),
        "Adam, penalty of strength 10": ("Adam", 10.0, "penalty"),
        "Adam, penalty of strength 4000": ("Adam", 4000.0, "penalty"),
        "Adam, proximal step of strength 4000": ("Adam", 4000.0, "proximal"),
        "SGD, penalty of strength 100": ("SGD", 100.0, "penalty"),
    }
    print("| optimizer | mean of abs(W) | coefficient of the largest tenth | zeros |")
    print("| --- | ---: | ---: | ---: |")
    for name, (optimizer, strength, kind) in cases.items():
        torch.manual_seed(0)
        weight = torch.nn.Parameter(0.1 * torch.randn(neurons, neurons))
        inputs = torch.randn(256, neurons)
        outputs = 0.1 * inputs @ torch.randn(neurons, neurons)
        rate = 0.001 if optimizer == "Adam" else 0.05
        descent = getattr(torch.optim, optimizer)([weight], lr=rate)
        for _ in range(steps):
            loss = (inputs @ weight.T - outputs).square().mean()
            if kind == "penalty":
                loss = loss + strength * penalty(weight, coefficients)
            descent.zero_grad()
            loss.backward()
            descent.step()
            if kind == "proximal":
                proximal(weight, coefficients, rate * strength)
        magnitude = weight.detach().abs().flatten()
        largest = magnitude.topk(len(magnitude) // 10).indices
        kept, zeros = coefficients.flatten()[largest].mean(), (magnitude == 0).double().mean()
        print(f"| {name} | {magnitude.mean():.3f} | {kept:.2f} | {zeros:.0%} |")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--neurons", type=int, default=4096)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{options.threads} thread(s), medians of {options.repeats}\n")
    measure_penalty(options.neurons, options.repeats)
    measure_composition(options.neurons // 2, options.repeats)
    measure_optimizers()


if __name__ == "__main__":
    main()
