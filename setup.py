"""Which folders install as which packages; everything else is in pyproject.toml.

`foundation/` is `moduli` itself, and each other floor is a package in it. Packages are found, not listed.
"""

from setuptools import find_packages, setup

FLOORS = ("manifolds", "regularizers", "models", "tasks")

setup(
    package_dir={"moduli": "foundation"} | {f"moduli.{floor}": floor for floor in FLOORS},
    packages=["moduli"]
    + [f"moduli.{package}" for package in find_packages("foundation")]
    + [f"moduli.{floor}" for floor in FLOORS]
    + [f"moduli.{floor}.{package}" for floor in FLOORS for package in find_packages(floor)],
)
