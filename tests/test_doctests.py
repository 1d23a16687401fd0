"""Every example in a public docstring runs."""

import doctest
import importlib
import pkgutil

import pytest

import moduli

MODULES = [module.name for module in pkgutil.walk_packages(moduli.__path__, "moduli.")]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(name)
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0
