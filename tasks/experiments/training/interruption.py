"""Requests to stop, granted between two steps or later; and the end of a process whose parent is gone."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

WATCH = "watch over the parent"
"""Name of the thread that ends a process whose parent is gone."""

SECONDS_TO_SAVE = 30.0
"""How long a process whose parent is gone may take to save what there is."""


def end_with_parent(parent: int) -> None:
    """Let this process end when the one that started it is gone, whatever it is doing then.

    A training saves its checkpoint first. In the parent itself nothing happens.

    Parameters
    ----------
    parent : int
        The process that started this one.
    """
    watched = any(thread.name == WATCH for thread in threading.enumerate())
    if os.getpid() != parent and not watched:
        threading.Thread(target=_watch, args=(parent,), name=WATCH, daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(SECONDS_TO_SAVE)
    os._exit(1)


@contextmanager
def ctrl_c_later() -> Iterator[None]:
    """Hold Ctrl-C back from this thread, and from processes that it starts, while they import what they need.

    The thread gets it afterwards, and a process by `let_ctrl_c_through`.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows has no such masks
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def let_ctrl_c_through() -> None:
    """Undo in a process that it was started by `ctrl_c_later`."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Collect requests to stop: Ctrl-C or SIGTERM.

    A signal in mid-step would leave weights and masks of different steps; so the first one is only
    noted. A second one interrupts at once. Outside a process's main thread Python delivers no signals.

    Yields
    ------
    callable
        Returns whether anybody asked to stop.

    Examples
    --------
    >>> with stop_requests() as asked_to_stop:
    ...     signal.raise_signal(signal.SIGINT)
    ...     asked_to_stop()
    True
    """
    received = threading.Event()
    signals = (signal.SIGINT, signal.SIGTERM)
    before: dict[signal.Signals, Any] = {}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(number: int, frame: FrameType | None) -> None:
        received.set()
        restore()

    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, note) for number in signals}
    try:
        yield received.is_set
    finally:
        restore()
