"""Words with arguments, as text: the smallest piece of the command line's language."""

import ast
import re
from typing import Any

from moduli.errors import InvalidParameter

WORD = re.compile(r"[^\W\d][\w-]*")


class UnreadableCall(InvalidParameter):
    """A text is not a word, with or without arguments."""


def read_call(text: str) -> tuple[str, dict[str, Any]]:
    """Read ``word`` or ``word(parameter=value)``; a word may have hyphens.

    Only literals are understood, and nothing is evaluated. Dictionaries are refused: they would be read as
    specs, which may name a class to import.

    Parameters
    ----------
    text : str
        Such as ``"torus"`` or ``"small-world(rewiring=0.2)"``.

    Returns
    -------
    str, dict
        The word, and its arguments by name.

    Raises
    ------
    UnreadableCall
        If the text is not of this form.

    Examples
    --------
    >>> read_call("small-world(rewiring=0.2)")
    ('small-world', {'rewiring': 0.2})
    >>> read_call("torus(6)")
    Traceback (most recent call last):
        ...
    moduli.reading.UnreadableCall: 'torus(6)' is not a word with arguments, such as torus(dim=6).
    """
    word, bracket, rest = text.strip().partition("(")
    try:
        if WORD.fullmatch(word.strip()) is None:
            raise ValueError
        return word.strip(), _arguments(f"word({rest}") if bracket else {}
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        raise UnreadableCall(f"{text!r} is not a word with arguments, such as torus(dim=6).") from None


def _arguments(call: str) -> dict[str, Any]:
    tree = ast.parse(call, mode="eval").body
    if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name) or tree.args:
        raise ValueError
    if any(isinstance(node, ast.Dict) for node in ast.walk(tree)):
        raise ValueError
    arguments = {keyword.arg: ast.literal_eval(keyword.value) for keyword in tree.keywords if keyword.arg}
    if len(arguments) < len(tree.keywords):
        raise ValueError
    return arguments
