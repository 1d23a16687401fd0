"""The command line ``moduli``.

Whatever imports torch is imported when a command is executed, so that help appears at once.
"""

import importlib
import os
import signal
import sys
from collections.abc import Sequence

import moduli
from moduli.errors import InvalidParameter, ModuliError
from moduli.tasks.experiments.training.interruption import ctrl_c_later

EXIT_BROKEN = 1
EXIT_MISTAKE = 2
EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Execute a command; exit with 1 if a check fails, 2 after a mistake, and 130 when interrupted.

    Parameters
    ----------
    arguments : sequence of str, optional
        The command line without the program's name; ``sys.argv`` when absent.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        _require_text(given)
        if given == ["--version"]:
            print(f"moduli {moduli.__version__}")
            return
        with ctrl_c_later():
            parsing = importlib.import_module("moduli.tasks.command_line.parsing")
        command = parsing.parse(given or ["--help"])
        with ctrl_c_later():  # PyTorch aborts where it is interrupted while it is imported
            module = importlib.import_module(command.module)
        passed = module.execute(command, given)
    except BrokenPipeError:
        # The reader of a pipe has gone; Python would complain when it closes the output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_BROKEN)
    except KeyboardInterrupt:
        signal.signal(
            signal.SIGINT, signal.SIG_IGN
        )  # workers are gone in a second or two; a second Ctrl-C waits
        print("Interrupted. The same command continues where this one stopped.", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
    except ModuliError as error:
        print(f"moduli: {error}", file=sys.stderr)
        sys.exit(EXIT_MISTAKE)
    if not passed:
        sys.exit(EXIT_BROKEN)


def _require_text(arguments: Sequence[str]) -> None:
    """Raise unless arguments are text, which can be printed and written to files."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise InvalidParameter(f"{argument!a} is not text in UTF-8; use another name.") from None


if __name__ == "__main__":
    main()
