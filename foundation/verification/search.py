"""The search for the simplest case that fails."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from threading import RLock
from typing import Any

from moduli.verification.checks import NotApplicable

_STORAGE = RLock()


def search(attempt: Callable[..., None], choices: Mapping[str, Sequence[Any]], examples: int) -> None:
    """Make attempts with different choices; raise the error of the simplest one that fails.

    A search repeats exactly: it has a seed, keeps no database, and writes nothing. It does not shrink where
    the profile of hypothesis that is loaded leaves out that phase: what failed first is raised then.

    Parameters
    ----------
    attempt : callable
        Takes one choice of each kind by name; raises `Violation` or any other error if it fails.
    choices : mapping of str to sequence
        What each choice is among, the simplest first; a ``range`` for integers.
    examples : int
        How many attempts are made before one fails.

    Raises
    ------
    Exception
        What the simplest failing attempt raised.
    NotApplicable
        As soon as an attempt raises it.
    """
    # Importing hypothesis takes 0.3 s, which only a search should cost.
    import hypothesis
    from hypothesis import strategies as st

    failure: Exception | None = None
    shrinks = hypothesis.Phase.shrink in hypothesis.settings().phases
    phases = [hypothesis.Phase.generate, *([hypothesis.Phase.shrink] if shrinks else [])]

    class Found(Exception):
        """One exception for all errors, so that hypothesis shrinks across them."""

    @hypothesis.seed(0)
    @hypothesis.settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=phases,
        suppress_health_check=list(hypothesis.HealthCheck),
        report_multiple_bugs=False,
        verbosity=hypothesis.Verbosity.quiet,
    )
    @hypothesis.given(
        st.tuples(
            *(
                st.integers(options.start, options.stop - 1)
                if isinstance(options, range)
                else st.sampled_from(options)
                for options in choices.values()
            )
        )
    )
    def examine(chosen: tuple[Any, ...]) -> None:
        nonlocal failure
        try:
            attempt(**dict(zip(choices, chosen, strict=True)))
        except NotApplicable:
            raise
        except Exception as error:
            failure = error
            raise Found from None

    try:
        with _storage_elsewhere():
            examine()
    except Found:
        assert failure is not None
        raise failure from None


@contextmanager
def _storage_elsewhere() -> Iterator[None]:
    """Keep hypothesis from writing to the working directory: it collects the constants of users' modules."""
    from hypothesis import configuration

    with _STORAGE, TemporaryDirectory() as folder:
        home = getattr(configuration, "__hypothesis_home_directory", None)
        configuration.set_hypothesis_home_dir(folder)
        try:
            yield
        finally:
            configuration.set_hypothesis_home_dir(home)
