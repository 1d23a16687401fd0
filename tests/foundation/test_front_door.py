"""``import moduli`` is cheap, names everything, and is understood by type checkers."""

import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

import moduli
import moduli.manifolds
import moduli.models
import moduli.regularizers

ROOT = Path(__file__).parents[2]
FLOORS = (moduli.manifolds, moduli.regularizers, moduli.models)


def test_importing_moduli_imports_no_torch():
    code = "import moduli, sys; assert 'Torus' in dir(moduli) and moduli.__version__"
    code += "; assert not {'torch', 'numpy'} & sys.modules.keys()"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("floor", FLOORS, ids=lambda floor: floor.__name__)
def test_every_public_name_is_a_name_of_moduli(floor):
    assert set(floor.__all__) <= set(dir(moduli))
    for name in floor.__all__:
        assert getattr(moduli, name) is getattr(floor, name)


def test_floors_do_not_compete_for_a_name():
    names = [name for floor in FLOORS for name in floor.__all__]
    assert len(names) == len(set(names))


def test_a_typo_gets_a_suggestion():
    with pytest.raises(AttributeError, match=r"'Tours'; did you mean 'Torus'\?"):
        moduli.Tours  # noqa: B018
    with pytest.raises(AttributeError, match=r"'zzz'; dir\(moduli\) lists its names"):
        moduli.zzz  # noqa: B018
    assert not hasattr(moduli, "__path_hooks__")


SCRIPT = """\
import moduli
import torch
from moduli.manifolds import verify
from moduli.regularizers import Diffusion

manifold = moduli.Torus(2)
verify(manifold)
sparsifier = moduli.Sparsifier(torch.nn.GRU(3, 64), Diffusion() / 2, manifold, sparsity=0.9)
penalty: torch.Tensor = sparsifier.penalty()
zeros: dict[str, float] = sparsifier.sparsity()
reveal_type(moduli.Torus)
moduli.Torus(dimension=2)
"""


def test_a_type_checker_follows_the_documented_installation(tmp_path):
    """It is a plain one: no type checker follows the import hook of an editable installation."""
    source, user = tmp_path / "source", tmp_path / "user"
    files = ("foundation", "manifolds", "regularizers", "models", "tasks")
    for name in files:
        shutil.copytree(ROOT / name, source / name)
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    venv.create(user, with_pip=False)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(user), "platbase": str(user)}))
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
    subprocess.run([*pip, "--target", packages, source], check=True)
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    # The cache of `make types` knows torch already.
    known = ["--config-file", ROOT / "pyproject.toml", "--cache-dir", ROOT / ".mypy_cache"]
    mypy = [sys.executable, "-m", "mypy", *known, "--python-executable", user / "bin/python", script]
    done = subprocess.run(mypy, capture_output=True, text=True, check=False, cwd=tmp_path)
    lines = done.stdout.splitlines()
    assert "Torus" in lines[0]
    assert "moduli.manifolds" in lines[0]
    assert [line for line in lines if "error" in line and "Found" not in line] == [
        'script.py:12: error: Unexpected keyword argument "dimension" for "Torus"  [call-arg]'
    ]
