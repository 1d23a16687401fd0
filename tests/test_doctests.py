"""Every example in a public docstring runs."""

import doctest
import importlib
import pkgutil

import pytest

import moduli.manifolds
import moduli.models
import moduli.regularizers
import moduli.tasks

PACKAGES = (moduli.manifolds, moduli.regularizers, moduli.models, moduli.tasks)
MODULES = [
    module.name
    for package in PACKAGES
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + ".")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(name)
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0
