"""Linear modules whose weight is a kernel of any kind."""

from collections.abc import Callable

from torch import Tensor, nn

from moduli.models.fast.kernel import Kernel
from moduli.models.fast.precision import in_own_precision

MakeKernel = Callable[[str, Tensor], Kernel]


class SparseLinear(nn.Module):
    """A linear module with a kernel of one's choice; called like ``nn.Linear``.

    Parameters
    ----------
    module : nn.Linear
        Where weight and bias come from; the bias is shared.
    make_kernel : callable
        From a weight's name and the weight to its kernel.
    """

    in_features: int
    out_features: int
    weight: Kernel
    bias: nn.Parameter | None

    def __init__(self, module: nn.Linear, make_kernel: MakeKernel) -> None:
        super().__init__()
        take_over(self, module, make_kernel)

    def extra_repr(self) -> str:
        """Return the size of the module."""
        return f"{self.in_features}, {self.out_features}, bias={self.bias is not None}"

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x W^T + b``, ``(..., n_sources) -> (..., n_targets)``."""
        return in_own_precision(self._product, self, x)[0]

    def _product(self, x: Tensor) -> tuple[Tensor]:
        result: Tensor = self.weight(x.reshape(-1, x.shape[-1]).t().contiguous())
        if self.bias is not None:
            result = result + self.bias.unsqueeze(1)
        return (result.t().reshape(*x.shape[:-1], len(result)).contiguous(),)


def take_over(sparse: nn.Module, module: nn.Module, make_kernel: MakeKernel) -> None:
    """Give a sparse module the attributes of the one that it replaces, and kernels for its matrices.

    Biases are shared, so that those that are tied or frozen stay so.
    """
    # PyTorch lists there what describes a module, such as its sizes.
    for name in type(module).__constants__:  # type: ignore[attr-defined]
        setattr(sparse, name, getattr(module, name))
    for name, parameter in module._parameters.items():
        if parameter is not None and parameter.dim() == 2:
            sparse.add_module(name, make_kernel(name, parameter))
        else:
            sparse.register_parameter(name, parameter)
    sparse.training = module.training
