"""What a text names that can be checked, and of which kind it is."""

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_type_hints

from moduli.errors import InvalidParameter, ModuliError, suggestion
from moduli.manifolds import Manifold, make
from moduli.manifolds.registry import MANIFOLDS, made
from moduli.models.masks.reading import with_arguments
from moduli.models.masks.registry import MASK_FAMILIES
from moduli.models.pruning.schedules import SCHEDULES
from moduli.plugins import import_string
from moduli.reading import UnreadableCall, read_call
from moduli.regularizers import Regularizer, make_regularizer
from moduli.regularizers.parsing import regularizer_words
from moduli.tasks.errors import UnknownSubject
from moduli.tasks.experiments.methods import method
from moduli.tasks.experiments.methods.words import CONTROLS, LACKING, PLAIN, REWIRED, TILES

Kind = Literal["manifold", "regularizer", "mask family", "schedule", "sparsifier", "method"]

Subject = tuple[Kind, Any]
"""A kind, and a thing of this kind: of methods its name, of sparsifiers what makes one for a model."""

USUAL = {"begin": 0, "end": 1000}
"""The steps between which a schedule cuts that takes some, unless arguments say otherwise."""

IMPORT = re.compile(r"[^\W\d][\w.]*:[^\W\d][\w.]*")

KINDS = (
    "a manifold such as torus, a regularizer such as 'dog + 0.1*uniform', a mask family such as small-world, "
    "a schedule such as cubic, a method such as torus-diffusion, or package.module:Thing, where Thing is a "
    "Manifold, a Regularizer, a function make(n, *, sparsity, seed), a function of step, a function of model "
    "that returns a Sparsifier, or a function without arguments that returns a Manifold or a Regularizer"
)
"""What can be checked, in words."""


def find_subject(target: str, arguments: Mapping[str, Any] | None = None) -> Subject:
    """Return what a text names, and its kind.

    A name that several kinds have means the first of: a manifold, a regularizer, a mask family, a schedule, a
    method. No built-in name is of two kinds.

    Parameters
    ----------
    target : str
        ``torus`` or ``torus(dim=3)``, a regularizer's expression, ``small-world(rewiring=0.2)``, ``cubic``,
        a method such as ``torus-diffusion@a-priori``, or an import string.
    arguments : mapping, optional
        Further arguments of the thing.

    Returns
    -------
    str, object
        The kind and the thing.

    Raises
    ------
    UnknownSubject
        If the text names nothing that can be checked.
    InvalidParameter
        If the arguments do not fit.
    ModuliError
        If it cannot be imported or made.

    Examples
    --------
    >>> find_subject("torus", {"dim": 3})
    ('manifold', Torus(dim=3, period=10.0))
    >>> find_subject("cubic(end=50)")
    ('schedule', CubicSchedule(begin=0, end=50))
    >>> find_subject("moduli.regularizers:Ripple")
    ('regularizer', Ripple())
    >>> find_subject("cubci")
    Traceback (most recent call last):
        ...
    moduli.tasks.errors.UnknownSubject: 'cubci' cannot be checked; did you mean 'cubic'? Available: ...
    """
    given = dict(arguments or {})
    if IMPORT.fullmatch(target) and target.partition(":")[0] not in MANIFOLDS.names():
        return _of_thing(target, import_string(target, f"'{target}'"), given)
    try:
        word, inner = read_call(target)
    except UnreadableCall:
        word, inner = "", {}
    if word in MANIFOLDS.names():
        return "manifold", make(word, kwargs=inner | given)
    if word in regularizer_words():
        return "regularizer", make_regularizer(_expression(word, inner | given))
    if word in MASK_FAMILIES.names():
        return "mask family", with_arguments(MASK_FAMILIES.get(word), inner | given, word)
    if word in SCHEDULES:
        kind = SCHEDULES[word]
        usual = {name: step for name, step in USUAL.items() if name in kind.__dataclass_fields__}
        return "schedule", _made(word, kind, usual | inner | given)
    if given:
        raise InvalidParameter(
            f"'{target}' takes no further arguments; write those of its parts within it, as in "
            "torus(dim=3)-dog."
        )
    if "@" in target or ":" in target or _reads_as_method(target):
        return "method", method(target).name
    if not word:
        return "regularizer", make_regularizer(target)
    names = {*MANIFOLDS.names(), *regularizer_words(), *MASK_FAMILIES.names(), *SCHEDULES, *PLAIN}
    raise UnknownSubject(f"'{target}' cannot be checked; {suggestion(word, names)} One can check {KINDS}.")


def _reads_as_method(text: str) -> bool:
    """Tell whether a text is MANIFOLD-INHIBITOR, or nearly so, rather than an expression or a name."""
    outer = re.sub(r"\([^()]*\)", "", text)
    if text in PLAIN or text.startswith((*CONTROLS, REWIRED, *LACKING)):
        return True
    space, dash, word = outer.rpartition("-")
    return bool(dash) and (space in MANIFOLDS.names() or word in {*regularizer_words(), TILES})


def _expression(word: str, arguments: Mapping[str, Any]) -> str:
    return f"{word}({', '.join(f'{name}={value!r}' for name, value in arguments.items())})"


def _of_thing(target: str, thing: Any, arguments: dict[str, Any]) -> Subject:
    """Return an imported thing, made where it is a class or a function that returns it, and its kind."""
    if isinstance(thing, type) and issubclass(thing, Manifold):
        MANIFOLDS.check(thing, f"'{target}'")
        return "manifold", made(thing, arguments)
    if isinstance(thing, type) and issubclass(thing, Regularizer):
        return "regularizer", _made(target, thing, arguments)
    if isinstance(thing, type) and _takes(thing.__call__, "self", "step"):
        return "schedule", _made(target, thing, arguments)
    if _takes(thing, "n", "sparsity", "seed"):
        return "mask family", with_arguments(thing, arguments, target)
    if _takes(thing, "model"):
        _check_names(target, thing, arguments)
        return "sparsifier", functools.partial(thing, **arguments) if arguments else thing
    if inspect.isfunction(thing) and _takes(thing, *arguments):
        _require_declaration(target, thing)
        return _of_instance(target, _made(target, thing, arguments))
    if arguments:
        raise InvalidParameter(f"'{target}' does not take {', '.join(arguments)}.")
    return _of_instance(target, thing)


def _require_declaration(target: str, function: Callable[..., Any]) -> None:
    """Raise unless a function says that it returns a manifold or a regularizer: no other one is called."""
    try:
        declared = get_type_hints(function).get("return")
    except (NameError, TypeError):
        declared = None
    if not (isinstance(declared, type) and issubclass(declared, Manifold | Regularizer)):
        raise UnknownSubject(
            f"'{target}' is a function that does not say what it returns, so it is not called; annotate it "
            "with -> Manifold or -> Regularizer."
        )


def _of_instance(target: str, thing: Any) -> Subject:
    if isinstance(thing, Manifold):
        return "manifold", thing
    if isinstance(thing, Regularizer):
        return "regularizer", thing
    if _takes(thing, "step"):
        return "schedule", thing
    raise UnknownSubject(f"'{target}' gives {_described(thing)}; one can check {KINDS}.")


def _described(thing: Any) -> str:
    if inspect.isfunction(thing):
        return f"a function {thing.__name__}{inspect.signature(thing)}"
    return (
        f"the class {thing.__name__}"
        if isinstance(thing, type)
        else f"an object of type {type(thing).__name__}"
    )


def _takes(function: Any, *names: str) -> bool:
    """Tell whether something can be called with parameters of just these names, others being optional."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False
    required = {
        name
        for name, parameter in parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }
    return required <= set(names) <= parameters.keys()


def _check_names(name: str, function: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
    parameters = inspect.signature(function).parameters
    for given in arguments:
        if given not in parameters:
            raise InvalidParameter(f"{name} has no parameter '{given}'; {suggestion(given, parameters)}")


def _made(name: str, make: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """Call what makes a thing, which may be anybody's code."""
    _check_names(name, make, arguments)
    try:
        inspect.signature(make).bind(**arguments)
    except TypeError as error:
        raise InvalidParameter(f"{name} needs other arguments: {error}.") from None
    try:
        return make(**arguments)
    except ModuliError:
        raise
    except Exception as error:  # code of a plugin, which may fail in any way
        raise UnknownSubject(f"{name} could not be made: {type(error).__name__}: {error}.") from error
