"""Clause M11: a built-in name always means the built-in; plugins are named, and harm nobody."""

import os
import subprocess
import sys

import pytest

SPACE = "from moduli.manifolds import Torus\nclass Space(Torus): pass"
PACKAGES = {
    "thief": ("torus = thief:Space\ndonut = moduli.manifolds:Torus", SPACE),
    "first": ("shared = first:Space", SPACE),
    "second": ("shared = second:Space [extra]\nextra = second:Space [extra]", SPACE),
    "quitter": ("quitting = quitter:Space", "import sys\nsys.exit(3)"),
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("installed")
    for name, (entries, code) in PACKAGES.items():
        (folder / f"{name}.py").write_text(code)
        info = folder / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[moduli.manifolds]\n{entries}\n")
    return folder


def run(folder, code):
    header = (
        "import warnings\nfrom moduli.manifolds import *\nwarnings.simplefilter('default', PluginConflict)\n"
    )
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", header + code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(folder)},
    )


def caught(code, error):
    return f"try:\n    {code}\nexcept {error} as error:\n    print(error)\n"


def test_a_built_in_name_means_the_built_in_and_the_plugin_is_named(installed):
    done = run(installed, "print(make('torus').spec['name'], type(make('torus')).__module__)")
    assert done.stdout == "torus moduli.manifolds.spaces.flat\n", done.stderr
    assert "Plugin thief:Space of thief 1.0 wants the name 'torus'" in done.stderr


def test_an_alias_changes_nobody_s_spec(installed):
    done = run(installed, "a = make('donut')\nprint(a.spec['name'], make('torus').spec['name'])")
    assert done.stdout == "torus torus\n", done.stderr


def test_two_plugins_that_want_one_name_are_both_named(installed):
    code = caught("make('shared')", "PluginError")
    code += "class Mine(Torus): pass\n" + caught("register('shared', Mine)", "RegistrationError")
    code += "print(available()['shared'])"
    done = run(installed, code)
    assert len(done.stdout.splitlines()) == 3, done.stderr
    for line in done.stdout.splitlines():
        assert "first:Space of first 1.0 and " in line
        assert "second:Space of second 1.0" in line


def test_a_plugin_that_quits_or_names_extras_harms_nobody(installed):
    code = caught("make('quitting')", "PluginError") + "print(make('extra').spec['name'], make('circle'))"
    done = run(installed, code)
    assert "of quitter 1.0 could not be imported: SystemExit: 3" in done.stdout, done.stderr
    assert done.stdout.endswith("extra Circle(radius=5.0)\n")
