"""Regularizers from text and from JSON: the language of the command line and of stored runs."""

import ast
import inspect
import operator
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from moduli.errors import InvalidParameter, ModuliError, suggestion
from moduli.manifolds.arguments import check_depth
from moduli.regularizers.errors import InvalidExpression
from moduli.regularizers.expressions import ElementwiseProduct, Multiple, Sum
from moduli.regularizers.registry import REGULARIZERS, registered_regularizers
from moduli.regularizers.regularizer import Regularizer
from moduli.regularizers.wrappers import Wrapper

_OPERATIONS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Mult: operator.mul,
}


MADE_BY_OPERATORS = (Wrapper, Sum, ElementwiseProduct, Multiple)
"""What an expression makes by operators and methods, and not by a word."""


def make_regularizer(expression: str | Mapping[str, Any]) -> Regularizer:
    """Make a regularizer from an expression or from a spec.

    An expression is written as in Python, with registered names for classes: words such as
    ``dog``, calls such as ``gaussian(length=2.0)``, ``+``, ``*``, numbers, parentheses, and methods
    such as ``.permuted(0)`` and ``.normalized()``. Nothing else is evaluated. The ``repr`` of a
    registered regularizer is an expression, too.

    Parameters
    ----------
    expression : str or mapping
        The text, or the ``spec`` of a regularizer.

    Returns
    -------
    Regularizer

    Raises
    ------
    InvalidExpression
        If the text or spec describes no regularizer; a caret marks the word that is wrong.

    Examples
    --------
    >>> make_regularizer("0.5*dog + 0.1*uniform")
    0.5 * DifferenceOfGaussians() + 0.1 * Uniform()
    >>> make_regularizer("(diffusion * gaussian(length=2.0)).normalized()").spec["name"]
    'normalized'
    >>> make_regularizer("0.5*dgo + 0.1*uniform")
    Traceback (most recent call last):
        ...
    moduli.regularizers.errors.InvalidExpression: No regularizer is called 'dgo'; did you mean 'dog'? ...
        0.5*dgo + 0.1*uniform
            ^^^
    """
    if isinstance(expression, Mapping):
        check_depth(dict(expression), "The spec of a regularizer")
        return _from_spec(expression)
    if not isinstance(expression, str):
        raise InvalidExpression(
            f"A regularizer is made from a text or a spec, got {type(expression).__name__}."
        )
    return _Reader(" ".join(expression.split())).read()


def regularizer_words() -> set[str]:
    """Return the words for regularizers that an expression may hold; nothing is imported.

    Examples
    --------
    >>> sorted(regularizer_words() & {"dog", "normalized"})
    ['dog']
    """
    hidden = {word for word, cls in registered_regularizers().items() if issubclass(cls, MADE_BY_OPERATORS)}
    return REGULARIZERS.names() - hidden


class _Reader:
    """Evaluates the syntax tree of one text; every error points at the part that is wrong."""

    def __init__(self, text: str) -> None:
        self.text = text

    def read(self) -> Regularizer:
        try:
            tree = ast.parse(self.text, mode="eval").body
            value = self._value(tree)
        except SyntaxError as error:
            start = max(0, min((error.offset or 1) - 1, len(self.text)))
            raise self._error(f"The expression cannot be read: {error.msg}.", start, start + 1) from None
        except (ValueError, OverflowError, RecursionError, MemoryError) as error:
            if isinstance(error, ModuliError):
                raise
            raise InvalidExpression(f"The expression cannot be read: {error}.") from None
        if not isinstance(value, Regularizer):
            raise self._wrong(tree, f"A number alone is not a regularizer; write {value!r} * uniform.")
        return value

    def _value(self, node: ast.expr) -> Regularizer | float:
        """Return the regularizer or the number that a part of the text stands for."""
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            return float(node.value)  # type: ignore[arg-type]
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            raise self._wrong(node, "A regularizer cannot be negative; only + and * compose.")
        if isinstance(node, ast.BinOp):
            operation = _OPERATIONS.get(type(node.op))
            if operation is None:
                raise self._wrong(
                    node, "Only + and * compose regularizers; write 0.5 * dog rather than dog / 2."
                )
            return self._call(node, operation, self._value(node.left), self._value(node.right))  # type: ignore[no-any-return]
        if isinstance(node, ast.Name):
            return self._make(node, self._word(node), [], [])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return self._make(node, self._word(node.func), node.args, node.keywords)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            return self._method(node, node.func)
        if isinstance(node, ast.Attribute):
            raise self._wrong(node, f"A method is called: write .{node.attr}().")
        raise self._wrong(node, "Only names of regularizers, numbers, +, * and calls are understood.")

    def _word(self, name: ast.Name) -> type[Regularizer]:
        """Return the class that a word stands for: by its registered name, or as in a repr."""
        known = registered_regularizers().get(name.id)
        if known is not None and not issubclass(known, MADE_BY_OPERATORS):
            return REGULARIZERS.get(name.id)
        words = regularizer_words()  # looks at the plugins that are installed, which takes a while
        if name.id in words:
            return REGULARIZERS.get(name.id)
        classes = {cls.__name__: cls for w, cls in registered_regularizers().items() if w in words}
        if name.id not in classes:
            raise self._wrong(
                name, f"No regularizer is called '{name.id}'; {suggestion(name.id.lower(), words)}"
            )
        return classes[name.id]

    def _method(self, call: ast.Call, attribute: ast.Attribute) -> Regularizer:
        methods = {word: cls for word, cls in registered_regularizers().items() if issubclass(cls, Wrapper)}
        value = self._value(attribute.value)
        if attribute.attr not in methods:
            end = _characters(self.text, attribute.end_col_offset)
            raise self._error(
                f"No method is called '{attribute.attr}'; {suggestion(attribute.attr, methods)}",
                end - len(attribute.attr),
                end,
            )
        if not isinstance(value, Regularizer):
            raise self._wrong(attribute.value, f"A number has no method .{attribute.attr}().")
        return self._make(call, methods[attribute.attr], call.args, call.keywords, value)

    def _make(
        self,
        node: ast.expr,
        cls: type[Regularizer],
        args: list[ast.expr],
        keywords: list[ast.keyword],
        *operands: Regularizer,
    ) -> Regularizer:
        names = [field.name for field in fields(cls)][len(operands) :]  # type: ignore[arg-type]
        for keyword in keywords:
            if keyword.arg not in names:
                # The keyword's own node spans its value as well.
                start = _characters(self.text, keyword.col_offset)
                raise self._error(
                    f"{cls.registered_name} has no parameter '{keyword.arg}'; "
                    f"{suggestion(str(keyword.arg), names)}",
                    start,
                    start + len(str(keyword.arg)),
                )
        values = [*operands, *(self._literal(arg) for arg in args)]
        named = {str(keyword.arg): self._literal(keyword.value) for keyword in keywords}
        if len(named) < len(keywords):
            raise self._wrong(node, f"{cls.registered_name}: a parameter is given twice.")
        try:
            inspect.signature(cls).bind(*values, **named)
        except TypeError as error:
            raise self._wrong(node, f"{cls.registered_name}: {error}.") from None
        return self._call(node, cls, *values, **named)  # type: ignore[no-any-return]

    def _literal(self, node: ast.expr) -> Any:
        try:
            return ast.literal_eval(node)
        except (ValueError, TypeError):
            raise self._wrong(node, "A parameter must be a number or another literal.") from None

    def _call(self, node: ast.expr, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except (ModuliError, TypeError) as error:
            raise self._wrong(node, str(error)) from None

    def _wrong(self, node: ast.expr, message: str) -> InvalidExpression:
        start, end = (_characters(self.text, offset) for offset in (node.col_offset, node.end_col_offset))
        return self._error(message, start, end)

    def _error(self, message: str, start: int, end: int) -> InvalidExpression:
        return InvalidExpression(f"{message}\n    {self.text}\n    {' ' * start}{'^' * (end - start)}")


def _characters(text: str, offset: int | None) -> int:
    """Return the number of characters before a place that the syntax tree gives in bytes."""
    return len(text.encode()[:offset].decode())


def _from_spec(spec: Mapping[str, Any]) -> Regularizer:
    if spec.keys() != {"name", "kwargs"} or not isinstance(spec["kwargs"], Mapping):
        raise InvalidExpression(f"A regularizer's spec holds 'name' and 'kwargs', got {dict(spec)!r}.")
    name = spec["name"]
    kind = REGULARIZERS.get(name)
    try:
        regularizer = kind(**{key: _decode(value) for key, value in spec["kwargs"].items()})
    except (TypeError, InvalidParameter) as error:
        raise InvalidExpression(f"The spec of '{name}' does not fit: {str(error).rstrip('.')}.") from None
    return regularizer


def _decode(value: Any) -> Any:
    if isinstance(value, Mapping) and value.keys() == {"name", "kwargs"}:
        return _from_spec(value)
    if isinstance(value, list | tuple):
        return tuple(_decode(item) for item in value)
    return value
