"""What a failed verification shows: the values, the numbers, and how to see them again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Counterexample:
    """What breaks a clause.

    Attributes
    ----------
    values : mapping of str to object
        What was tried, by name; for a manifold the points, each of shape ``point_shape``.
    numbers : mapping of str to float or str
        What was computed from them, by formula; the error's text where a formula raises one.
    reproduction : str
        Three lines of Python that print the numbers.
    """

    values: Mapping[str, Any]
    numbers: Mapping[str, float | str]
    reproduction: str

    @classmethod
    def of(
        cls,
        imports: str,
        definitions: Mapping[str, Mapping[str, Any]],
        formulas: Sequence[str],
        shown: Sequence[str],
        imported: Mapping[str, Any] | None = None,
    ) -> "Counterexample":
        """Compute the numbers, and write the lines that compute them again.

        Parameters
        ----------
        imports : str
            The first line of the reproduction.
        definitions : mapping of str to mapping
            Statements of Python, each with the names that it defines and their values.
        formulas : sequence of str
            Expressions in these names.
        shown : sequence of str
            The names whose values are shown.
        imported : mapping of str to object, optional
            What the first line imports, as far as the formulas need it.
        """
        scope = dict(imported or {})
        for names in definitions.values():
            scope.update(names)
        numbers = {formula: _number(formula, scope) for formula in formulas}
        lines = (imports, "; ".join(definitions), f"print({', '.join(formulas)})")
        return cls({name: scope[name] for name in shown}, numbers, "\n".join(lines))

    def __str__(self) -> str:
        values = [f"  {name} = {_plain(value)}" for name, value in self.values.items()]
        numbers = [
            f"  {formula} = {value:.9g}" if isinstance(value, float) else f"  {formula} raises {value}"
            for formula, value in self.numbers.items()
        ]
        return "\n".join([*values, *numbers, "Reproduce it with", self.reproduction])


def _number(formula: str, scope: Mapping[str, Any]) -> float | str:
    """Return the value of a formula, or the text of the error that it raises."""
    try:
        return float(eval(formula, dict(scope)))
    except Exception as error:  # what is examined may fail in any way
        return f"{type(error).__name__}: {error}"


def _plain(value: Any) -> str:
    """Return what shows a value: of a tensor or an array, its numbers alone."""
    return repr(value.tolist() if hasattr(value, "tolist") else value)
