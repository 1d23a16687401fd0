"""moduli: recurrent networks made sparse by geometry.

Every public name of `moduli.manifolds`, `moduli.regularizers` and `moduli.models` is also a name of this
package: ``moduli.Torus``. It is imported when it is first asked for, and PyTorch with it.
"""

from importlib.metadata import version
from typing import TYPE_CHECKING

from moduli.lazy import exports, lazy_names

if TYPE_CHECKING:
    from moduli.manifolds import *
    from moduli.models import *
    from moduli.regularizers import *

__version__ = version("moduli")


def _origins() -> dict[str, str]:
    floors = ("moduli.manifolds", "moduli.regularizers", "moduli.models")
    return {name: floor for floor in floors for name in exports(floor)}


__getattr__, __dir__ = lazy_names("moduli", _origins)
