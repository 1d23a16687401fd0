"""Every example in a public docstring runs."""

import doctest
import importlib
from pathlib import Path

import pytest

from tests.floors import House

MODULES = sorted(House.read(Path(__file__).parents[1]).imports)


def test_all_floors_are_looked_at():
    assert {"moduli", "moduli.manifolds", "moduli.regularizers", "moduli.models", "moduli.tasks"} < set(
        MODULES
    )


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(name)
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0
