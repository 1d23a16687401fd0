# `make demo` and `make test` do their own set-up; a second call starts at once.
PYTHON ?= python3
BIN := .venv/bin
FIRST_LOOK := dense,narrow,rewired-torus-diffusion@a-priori,torus-diffusion@a-priori
# pip compiles one file after the other, which takes longer than all else; other packages' tests need it least.
INSTALL := $(BIN)/python -m pip install -qq --no-compile --constraint constraints.txt
COMPILE := $(BIN)/python -W ignore -m compileall -q -j 0 -x '/tests?/' .venv/lib

.PHONY: help demo test lint types tests thorough fuzz docs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/.tasks ## install, then compare a dense, a narrow and two sparse navigation networks (6 to 10 minutes)
	@$(BIN)/moduli compare navigation --preset first-look --methods $(FIRST_LOOK)

test: lint types tests ## install, then run lint, types and tests (a few minutes)

lint: .venv/.test ## check style and formatting
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

# Type checkers cannot follow an editable install: they are shown the wheel, as users install it.
types: .venv/.test ## check types
	@rm -rf build/lib build/types
	@$(BIN)/python -m pip install -qq --no-deps --no-build-isolation --target build/types .
	@MYPYPATH=build/types $(BIN)/mypy --package moduli

tests: .venv/.test ## run the tests on all cores, but for those that start many processes
	@$(BIN)/python -m pytest --numprocesses auto --dist loadgroup -m "not thorough"

thorough: .venv/.test ## run all tests on all cores
	@$(BIN)/python -m pytest --numprocesses auto --dist loadgroup

fuzz: .venv/.test ## try thousands of damaged files and odd inputs (some minutes)
	@MODULI_FUZZ_CASES=2000 $(BIN)/python -m pytest --quiet --capture=no tests/fuzz

docs: .venv/.docs ## build this version's site into build/site, beside those that were built before
	@version=$$($(BIN)/python -c 'import moduli; print(moduli.__version__)') \
		&& $(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet -d build/doctrees docs build/site/$$version \
		&& $(BIN)/python docs/versions.py build/site \
		&& echo "Open build/site/$$version/index.html"

clean: ## remove everything that was installed or built
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

.venv/bin/python:
	@echo "Creating .venv"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "moduli needs Python 3.11 or newer: make PYTHON=python3.11")'
	@$(PYTHON) -m venv .venv

.venv/.%: pyproject.toml constraints.txt | .venv/bin/python
	@echo "Installing moduli[$*] (a minute or two)"
	@$(INSTALL) --editable '.[$*]'
	@$(COMPILE) > /dev/null || true # some packages hold files for other versions of Python
	@touch $@
