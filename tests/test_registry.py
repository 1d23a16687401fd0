"""Clause M7: names, import strings, errors with suggestions, no silent overwrite."""

import subprocess
import sys
import threading

import pytest
import torch

from moduli.manifolds import (
    Euclidean,
    Manifold,
    PluginError,
    RegistrationError,
    Torus,
    UnknownManifold,
    available,
    make,
    register,
    registry,
)


@pytest.fixture(autouse=True)
def registry_restored():
    before = registry.MANIFOLDS.snapshot()
    yield
    registry.MANIFOLDS.restore(before)


def test_decorator_call_and_import_string_register():
    @register("line")
    class Line(Euclidean):
        """The real line."""

        def __init__(self, size: float = 1.0):
            super().__init__(1, size)

    class Plane(Euclidean):
        """The plane."""

    assert register("plane", Plane) is Plane
    register("lazy torus", "moduli.manifolds:Torus")
    assert make("line", size=2.0).spec == {"name": "line", "kwargs": {"size": 2.0}}
    assert isinstance(make("plane"), Plane)
    assert available()["plane"] == "The plane."
    assert available()["lazy torus"] == "Imported from moduli.manifolds:Torus when used."
    assert make("lazy torus", dim=3) == Torus(3)
    assert make("moduli.manifolds:Torus", dim=3) == Torus(3)


def test_a_name_is_never_overwritten_silently():
    class Other(Euclidean):
        pass

    with pytest.raises(RegistrationError, match=r"'torus' is taken by .*Torus.*override=True"):
        register("torus", Other)
    assert isinstance(make("torus"), Torus)
    register("torus", Other, override=True)
    assert isinstance(make("torus"), Other)


def test_registering_the_same_class_again_is_no_conflict():
    assert register("torus", Torus) is Torus


def test_what_is_no_complete_manifold_is_refused():
    class Half(Manifold):
        def distance(self, x, y):
            return x

    for thing, message in [
        (Half, "Half does not define random_point"),
        (int, "must be a subclass of Manifold"),
        ("no colon", "looks like 'package.module:Class'"),
    ]:
        with pytest.raises(RegistrationError, match=message):
            register("thing", thing)
    with pytest.raises(RegistrationError, match="non-empty string"):
        register("")


def test_unknown_names_get_a_suggestion():
    with pytest.raises(UnknownManifold, match=r"'tours'; did you mean 'torus'\? Available: .*circle.*torus"):
        make("tours")
    with pytest.raises(UnknownManifold, match="available:"):
        make("zzz")


def test_a_broken_import_names_its_cause_and_breaks_nothing_else():
    register("broken", "no_such_module_at_all:Thing")
    assert "broken" in available()
    with pytest.raises(PluginError, match=r"'broken' .*ModuleNotFoundError"):
        make("broken")
    with pytest.raises(PluginError, match="AttributeError"):
        make("moduli.manifolds:Tours")
    assert make("torus") == Torus()


def test_importing_manifolds_leaves_the_process_as_it_was():
    code = """
import os, sys, torch
state, dtype, environment = torch.get_rng_state(), torch.get_default_dtype(), dict(os.environ)
import moduli.manifolds, moduli.regularizers, moduli.models
assert torch.equal(state, torch.get_rng_state()) and dtype == torch.get_default_dtype()
assert environment == dict(os.environ)
assert not {"geomstats", "matplotlib", "hypothesis", "networkx"} & sys.modules.keys() - before
"""
    code = code.replace("import os, sys, torch\n", "import os, sys, torch\nbefore = set(sys.modules)\n")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert torch.get_default_dtype() == torch.float32


def test_what_is_no_string_is_no_name():
    for name in (3, None, ["torus"], b"torus", Torus):
        with pytest.raises(UnknownManifold, match="name is a string, got"):
            make(name)
        with pytest.raises(RegistrationError, match="non-empty string"):
            register(name, Torus)


def test_aliases_leave_the_first_name():
    register("annulus", Torus)
    register("a lazy name", "moduli.manifolds:Torus")
    assert make("annulus").spec == make("a lazy name").spec == Torus().spec
    assert Torus().spec["name"] == "torus"


def test_threads_register_and_list_at_once():
    stop, failures = threading.Event(), []

    def read():
        try:
            while not stop.is_set():
                available()
                registry.MANIFOLDS.registered()
                make("torus")
        except Exception as error:
            failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(20):
        register(f"torus {number}", Torus)
    stop.set()
    for reader in readers:
        reader.join()
    assert not failures
    assert Torus.registered_name == "torus"
