"""Clause M7: installed packages offer manifolds; a broken one is named and does no harm."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("plugins")  # one process makes what all share

EXAMPLES = Path(__file__).parent.parent / "examples"

USE = """
from moduli.manifolds import InvalidDistance, PluginError, RegistrationError
from moduli.manifolds import available, make, register, verify
import sys

lines = available()
assert lines["ellipse"] == "Plugin moduli_ellipse:Ellipse of moduli-ellipse 1.0.0.", lines
assert {"unimportable", "incomplete", "misshapen", "torus"} <= lines.keys()
assert not {"moduli_ellipse", "moduli_broken"} & sys.modules.keys()

ellipse = make("ellipse", a=3.0)
assert ellipse.spec == {"name": "ellipse", "kwargs": {"a": 3.0, "b": 1.0}}
assert make("ellipse") == make("moduli_ellipse:Ellipse")
assert available()["ellipse"].startswith("The ellipse of two given semi-axes")
verify(ellipse, cases=500)
product = make("product", manifolds=[ellipse.spec, make("torus").spec])
assert product.factors[0] == ellipse

for name, words in {
    "unimportable": "of moduli-broken 0.0.1 could not be imported: ModuleNotFoundError: No module",
    "incomplete": "Space does not define random_point",
}.items():
    try:
        make(name)
    except (PluginError, RegistrationError) as error:
        assert words in str(error), error
    else:
        raise SystemExit(f"{name} was made")
try:
    make("misshapen").pairwise(make("misshapen").random_point(3))
except InvalidDistance as error:
    assert "must return" in str(error)
else:
    raise SystemExit("misshapen distances were accepted")

class Thief(type(ellipse)):
    pass

for name in ("ellipse", "unimportable"):
    try:
        register(name, Thief)
    except RegistrationError as error:
        assert "is taken by" in str(error)
    else:
        raise SystemExit(f"the name {name} was stolen")
print("used")
"""

OFF = """
from moduli.manifolds import UnknownManifold, available, make
assert "ellipse" not in available() and "torus" in available()
try:
    make("ellipse")
except UnknownManifold:
    print("off")
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Install both example plugins into a folder of their own, without a network."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
    ]
    sources = []
    for name in ("ellipse-plugin", "broken-plugin"):
        # setuptools builds inside the source folder, which stays as it is.
        copy = tmp_path_factory.mktemp(name) / name
        subprocess.run(["cp", "-r", EXAMPLES / name, copy], check=True)
        sources.append(copy)
    subprocess.run([*pip, "--target", folder, *sources], check=True)
    return folder


def run(code: str, folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(folder), str(EXAMPLES.parent)])
    return subprocess.run(
        [sys.executable, *arguments, *(["-c", code] if code else [])],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path, **environment},
    )


def test_a_plugin_is_found_through_its_entry_point_and_broken_ones_do_no_harm(installed):
    done = run(USE, installed)
    assert done.stdout == "used\n", done.stderr


def test_plugins_can_be_turned_off(installed):
    done = run(OFF, installed, MODULI_NO_PLUGINS="1")
    assert done.stdout == "off\n", done.stderr


def test_the_plugins_own_tests_pass(installed):
    tests = str(EXAMPLES / "ellipse-plugin" / "tests")
    done = run("", installed, "-m", "pytest", "-q", "-p", "no:cacheprovider", tests)
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout
