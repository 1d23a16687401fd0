"""Linear modules whose weight is a kernel of any kind."""

from torch import Tensor, nn

from moduli.models.fast.kernel import Kernel
from moduli.models.fast.module import SparseModule
from moduli.models.fast.precision import in_own_precision


class SparseLinear(SparseModule):
    """A linear module with a kernel of one's choice; called like ``nn.Linear``.

    Parameters
    ----------
    module : nn.Linear
        Where weight and bias come from.
    make_kernel : callable
        From a weight's name and the weight to its kernel.
    """

    in_features: int
    out_features: int
    weight: Kernel
    bias: nn.Parameter | None

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
