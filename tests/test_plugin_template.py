"""Clause V1: the template of a plugin, installed as a user installs it, passes its own tests of all kits."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("template")  # one process makes what all share

ROOT = Path(__file__).parents[1]
TEMPLATE = ROOT / "examples" / "plugin-template"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    folder, copy = tmp_path_factory.mktemp("installed"), tmp_path_factory.mktemp("copy") / "plugin-template"
    shutil.copytree(TEMPLATE, copy)  # setuptools builds inside the source folder, which stays as it is
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", folder]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, copy], check=True)
    return folder


def run(folder, *arguments):
    environment = {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]), "OMP_NUM_THREADS": "1"}
    command, environment = [sys.executable, *arguments], os.environ | environment
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_the_template_s_own_tests_and_examples_pass(installed):
    done = run(
        installed,
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "--doctest-modules"),
        *(str(TEMPLATE / "tests"), str(installed / "moduli_template")),
    )
    assert done.returncode == 0, done.stdout
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 50


def test_the_commands_of_its_readme_check_it(installed):
    checks = re.findall(r"^moduli (check .+)$", (TEMPLATE / "README.md").read_text(), re.MULTILINE)
    assert len(checks) == 4
    code = "from moduli.tasks.cli import main\nfrom moduli.tasks.experiments.methods import method\n"
    code += "".join(f"main({line.split()!r})\n" for line in checks)
    code += "print(method('taxicab-saturating').regularizer, method('banded@a-priori').masks.name)\n"
    done = run(installed, "-c", code)
    assert done.returncode == 0, done.stderr
    for conclusion in ("A metric space.", "A regularizer.", "A mask family.", "A schedule."):
        assert conclusion in done.stdout
    assert done.stdout.endswith("Saturating(length=2.0).normalized() banded\n")
