"""The plan of the house: which module imports which, and what the plan forbids.

Imports are read from the syntax, those inside functions as well. Imports for type checkers alone, under
``if TYPE_CHECKING``, do not count; nor does a package's table of contents, which only hands names on.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import networkx

FLOORS = ("foundation", "manifolds", "regularizers", "models", "tasks")


@dataclass(frozen=True)
class House:
    """The modules of a checkout, by import name, and their imports of one another."""

    floors: dict[str, int]
    imports: dict[str, set[str]]
    hidden: dict[str, set[str]]
    contents: set[str]

    @classmethod
    def read(cls, root: Path) -> "House":
        paths = {
            _name(path.relative_to(root)): path for floor in FLOORS for path in (root / floor).rglob("*.py")
        }
        found = {
            name: list(_imports(ast.parse(path.read_text()), paths.keys() - {name}))
            for name, path in paths.items()
        }
        return cls(
            floors={name: FLOORS.index(path.relative_to(root).parts[0]) for name, path in paths.items()},
            imports={name: {target for target, _ in pairs} for name, pairs in found.items()},
            hidden={name: {target for target, inside in pairs if inside} for name, pairs in found.items()},
            contents={name for name, path in paths.items() if path.name == "__init__.py"},
        )

    def circles(self) -> list[list[str]]:
        """Return the groups of modules that import one another."""
        graph = networkx.DiGraph(
            (name, target)
            for name, targets in self.imports.items()
            for target in targets
            if not {name, target} & self.contents
        )
        return [sorted(group) for group in networkx.strongly_connected_components(graph) if len(group) > 1]

    def to_the_right(self) -> list[str]:
        """Return the imports of a floor above one's own."""
        return [
            f"{name} imports {target}"
            for name, targets in self.imports.items()
            for target in sorted(targets)
            if self.floors[target] > self.floors[name]
        ]

    def inside_functions(self) -> list[str]:
        """Return the imports of this library's modules that stand inside a function."""
        return [
            f"{name} imports {target}" for name, targets in self.hidden.items() for target in sorted(targets)
        ]


def _name(path: Path) -> str:
    floor, *rest = path.with_suffix("").parts
    parts = ["moduli", *([] if floor == "foundation" else [floor]), *rest]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(node: ast.AST, modules: set[str], inside: bool = False) -> Iterator[tuple[str, bool]]:
    """Yield each module that is imported below a node, and whether that happens inside a function."""
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    wanted: list[str] = []
    if isinstance(node, ast.Import):
        wanted = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute"
        wanted = [f"{node.module}.{alias.name}" for alias in node.names]
    for name in wanted:
        while name and name not in modules:
            name = name.rpartition(".")[0]
        if name:
            yield name, inside
    inside = inside or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    for child in ast.iter_child_nodes(node):
        yield from _imports(child, modules, inside)
