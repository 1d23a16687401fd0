"""The pages of docs/ and the README run from top to bottom and print what they show; the site builds."""

import doctest
import re
import subprocess
import sys
import tomllib
import types
from pathlib import Path

import pytest
import torch
from sphinx.util.inventory import InventoryFile

import moduli.manifolds
import moduli.models
import moduli.models.analysis.topology
import moduli.regularizers
import moduli.regularizers.testing
from moduli.manifolds.registry import MANIFOLDS
from moduli.manifolds.testing import CLAUSES
from moduli.models.masks.registry import MASK_FAMILIES
from moduli.models.testing import MASK_CLAUSES, SCHEDULE_CLAUSES, SPARSIFIER_CLAUSES
from moduli.regularizers import make_regularizer
from moduli.regularizers.registry import REGULARIZERS
from moduli.tasks.registry import TASKS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]

# Text that follows a block of Python shows what the block prints.
EXAMPLE = re.compile(r"^```python\n(.*?)^```(?:\n\n```text\n(.*?)^```)?", re.DOTALL | re.MULTILINE)
DECIMAL = re.compile(r"-?\d+\.\d+")


def agree(shown, printed):
    """Words are equal, up to `...`; decimals differ by less than a fifth, as machines round differently."""
    words = DECIMAL.sub("#", shown), DECIMAL.sub("#", printed)
    numbers = [[float(number) for number in DECIMAL.findall(text)] for text in (shown, printed)]
    return doctest.OutputChecker().check_output(*words, doctest.ELLIPSIS) and all(
        ours == pytest.approx(theirs, rel=0.2) for ours, theirs in zip(*numbers, strict=False)
    )


def sparsity_of_the_readme(names, printed):
    assert float(printed) == pytest.approx(0.9, abs=1 / (4 * 64 * 64))


def sparsity_of_one_s_own_model(names, printed):
    assert "rnn.weight_hh_l0: 192 x 64, 90.00% zeros" in printed
    assert "total: 90.0" in printed
    assert names["callback"].sparsifier.steps_taken == 4
    assert torch.equal(names["mask"], names["sparse_from_the_start"].masks["weight_hh_l0"])


def a_task_of_one_s_own(names, printed):
    rows = names["summary"].rows
    assert [row.method for row in rows] == ["dense", "none", "torus-dog"]
    assert rows[0].trained[0] < 0.1 * names["summary"].references["predicting zero"][0]
    assert "torus-dog" in printed


def loops_of_a_graph(names, printed):
    assert names["loop_only"].betti[1] > 0


AFTERWARDS = {
    "README": sparsity_of_the_readme,
    "sparsify-your-own-model": sparsity_of_one_s_own_model,
    "compare-methods": a_task_of_one_s_own,
    "see-the-geometry": loops_of_a_graph,
}


@pytest.mark.filterwarnings("ignore::lightning.fabric.utilities.warnings.PossibleUserWarning")
@pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated:FutureWarning")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_runs_and_prints_what_it_shows(page, monkeypatch, capsys):
    for registry in (MANIFOLDS, REGULARIZERS, MASK_FAMILIES, TASKS):
        monkeypatch.setattr(registry, "_entries", registry.snapshot())
    module = types.ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)
    monkeypatch.chdir(ROOT)
    examples = EXAMPLE.findall(page.read_text())
    assert len(examples) == page.read_text().count("```python")
    printed = []
    for code, shown in examples:
        exec(compile(code, page.name, "exec"), module.__dict__)
        printed.append(capsys.readouterr().out)
        assert not shown or agree(shown, printed[-1]), printed[-1]
    if page.stem in AFTERWARDS:
        AFTERWARDS[page.stem](module.__dict__, "".join(printed))


def test_output_that_differs_is_noticed():
    assert agree("error 0.16\n", "error 0.15\n")
    assert not agree("error 0.16\n", "error 0.10\n")
    assert not agree("error 0.16\n", "wiring 0.16\n")
    assert not agree("9500 of 10,000\n", "9499 of 10,000\n")
    assert agree("x = 3.0\n...\n", "x = 3.0\ny = 7.0\n")


@pytest.mark.parametrize(
    ("page", "clauses"),
    [
        ("bring-your-own-manifold.md", [CLAUSES]),
        ("compose-a-regularizer.md", [moduli.regularizers.testing.CLAUSES]),
        ("test-what-you-bring.md", [MASK_CLAUSES, SCHEDULE_CLAUSES, SPARSIFIER_CLAUSES]),
    ],
)
def test_a_page_lists_every_clause(page, clauses):
    rows = re.findall(r"^\| (\d+) (\S+) \|", (DOCS / page).read_text(), re.MULTILINE)
    assert rows == [(str(clause.number), clause.name) for kind in clauses for clause in kind.values()]


def test_the_page_on_regularizers_shows_expressions_that_can_be_read():
    expressions = re.findall(r"`\"([^`]+)\"`", (DOCS / "compose-a-regularizer.md").read_text())
    assert expressions
    for expression in expressions:
        make_regularizer(expression)


def test_site_citation_and_metadata_name_one_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)[1] == version
    assert moduli.__version__ == version


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build the site as `make docs` does, in a process of its own."""
    folder = tmp_path_factory.mktemp("site") / moduli.__version__
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet"]
    command += ["-D", "nb_execution_mode=off"]  # test_notebooks runs them
    built = subprocess.run([*command, DOCS, folder], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    subprocess.run([sys.executable, DOCS / "versions.py", folder.parent], check=True)
    return folder


@pytest.mark.xdist_group("site")  # one process builds it
def test_the_site_builds_without_a_warning_and_its_links_lead_somewhere(site):
    pages = {page: page.read_text() for page in site.rglob("*.html")}
    assert len(pages) > len(PAGES)
    for page, text in pages.items():
        for link in re.findall(r'(?:href|src)="([^"]+)"', text):
            path, _, anchor = link.partition("#")
            if ":" in path:
                continue
            target = (page.parent / path.partition("?")[0]).resolve() if path else page
            assert target.is_file(), f"{page.name} links to {link}"
            if anchor and target.suffix == ".html":
                assert f'id="{anchor}"' in pages[target], f"{page.name} links to {link}"


@pytest.mark.xdist_group("site")  # one process builds it
def test_versions_that_are_built_side_by_side_are_listed_newest_first(site):
    older = [site.parent / version for version in ("0.1.0", "0.1.0rc1", "0.10.0")]
    for folder in older:
        folder.mkdir(exist_ok=True)
        (folder / "objects.inv").touch()
    subprocess.run([sys.executable, DOCS / "versions.py", site.parent], check=True)
    listed = re.findall(r'href="([^"/]+)/index.html"', (site.parent / "index.html").read_text())
    assert listed == ["0.10.0", moduli.__version__, "0.1.0", "0.1.0rc1"]


@pytest.mark.xdist_group("site")  # one process builds it
def test_the_site_fetches_nothing_from_elsewhere(site):
    for page in site.rglob("*.html"):
        text = page.read_text()
        fetched = re.findall(r'<(?:script|img|iframe|source)\b[^>]*\bsrc="(\w*:?//[^"]+)"', text)
        fetched += re.findall(r'<link\b[^>]*\bhref="(\w*:?//[^"]+)"', text)
        assert not fetched, page.name
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*['\"]?\w*:?//", sheet.read_text()), sheet.name


@pytest.mark.xdist_group("site")  # one process builds it
def test_the_reference_describes_every_public_name(site):
    with (site / "objects.inv").open("rb") as file:
        inventory = InventoryFile.load(file, "", lambda base, path: path)
    described = {name for kind in inventory if kind.startswith("py:") for name in inventory[kind]}
    for package in (moduli.manifolds, moduli.regularizers, moduli.models, moduli.models.analysis.topology):
        public = {f"{package.__name__}.{name}" for name in package.__all__}
        assert not public - described
