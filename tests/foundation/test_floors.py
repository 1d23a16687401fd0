"""Imports point left only, in no circle, and stand at the top of their modules."""

import shutil
from pathlib import Path

import pytest

from tests.floors import FLOORS, House

ROOT = Path(__file__).parents[2]


def test_imports_point_left_in_no_circle_and_are_not_hidden():
    house = House.read(ROOT)
    assert {name.split(".")[1] for name in house.imports if "." in name} >= set(FLOORS[1:])
    assert house.circles() == []
    assert house.to_the_right() == []
    assert house.inside_functions() == []


@pytest.fixture
def copy(tmp_path):
    for floor in FLOORS:
        shutil.copytree(ROOT / floor, tmp_path / floor)
    return tmp_path


def plant(path, line):
    path.write_text(f"{line}\n{path.read_text()}")


def test_a_planted_circle_is_found(copy):
    plant(copy / "manifolds/errors.py", "from moduli.manifolds.pairwise import pairwise_distances")
    assert ["moduli.manifolds.errors", "moduli.manifolds.pairwise"] in House.read(copy).circles()


def test_a_planted_import_to_the_right_is_found(copy):
    plant(copy / "manifolds/pairwise.py", "import moduli.models.errors")
    assert House.read(copy).to_the_right() == ["moduli.manifolds.pairwise imports moduli.models.errors"]


def test_a_planted_import_inside_a_function_is_found(copy):
    path = copy / "regularizers/geometry.py"
    path.write_text(
        f"{path.read_text()}\n\ndef late():\n    from moduli.regularizers.penalties import penalty\n"
    )
    planted = "moduli.regularizers.geometry imports moduli.regularizers.penalties"
    assert planted in House.read(copy).inside_functions()


def test_imports_for_type_checkers_alone_do_not_count(copy):
    plant(
        copy / "manifolds/pairwise.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import moduli.tasks.cli",
    )
    assert House.read(copy).to_the_right() == []
