"""What a run is doing now: one line that changes on a terminal, and a plain line now and then in a log.

Work that takes a while is a Task: any thread may start one, and all share the line. It goes to
stderr, so that stdout stays for results.
"""

import os
import shutil
import sys
import threading
import time
from types import TracebackType

from rich.cells import set_cell_size

TICK_S = 0.2
PLAIN_S = 10.0  # where it is no terminal: at most one line in this time
CLEAR = "\r\x1b[K"


class Task:
    """Something that takes a while, as in "building zig 12 s" or "judging c: 34 of 77".

    `names` are what it is busy with, in order; with `of`, `done` counts how far it has come.
    """

    def __init__(self, verb: str, *names: str, of: int | None = None) -> None:
        self.verb, self.of, self.done = verb, of, 0
        self.names = dict.fromkeys(names)
        self.started = time.monotonic()

    def __enter__(self) -> "Task":
        """Show it."""
        LIVE.start(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        """Show it no more."""
        LIVE.end(self)

    @property
    def text(self) -> str:
        """The task as a person reads it."""
        said = f"{self.verb} {', '.join([*self.names])}".strip()
        if self.of is not None:
            return f"{said}: {self.done} of {self.of}" if self.names else f"{said} {self.done} of {self.of}"
        seconds = int(time.monotonic() - self.started)
        return f"{said} {seconds} s" if seconds else said


class Live:
    """All tasks that go on, and the line that shows them. Each method may be called by any thread."""

    def __init__(self, tick_s: float = TICK_S, plain_s: float = PLAIN_S) -> None:
        self._tick_s, self._plain_s = tick_s, plain_s
        self._lock = threading.RLock()
        self._tasks: list[Task] = []
        self._drawn = False  # the line is on the terminal
        self._ticking = False
        self._last_plain = time.monotonic()

    def say(self, text: str) -> None:
        """A line that stays."""
        with self._lock:
            self._clear()
            print(text, file=sys.stderr, flush=True)
            self._last_plain = time.monotonic()

    def start(self, task: Task) -> None:
        """Show a task from now on."""
        with self._lock:
            if not self._tasks:
                self._last_plain = max(self._last_plain, time.monotonic())
            self._tasks.append(task)
            if not self._ticking:
                self._ticking = True
                threading.Thread(target=self._tick, daemon=True).start()

    def end(self, task: Task) -> None:
        """Show it no more; without tasks there is no line."""
        with self._lock:
            if task in self._tasks:
                self._tasks.remove(task)
            if not self._tasks:
                self._clear()

    def _tick(self) -> None:
        while True:
            time.sleep(self._tick_s)
            with self._lock:
                if not self._tasks:
                    self._ticking = False
                    return
                try:
                    self._draw("; ".join(task.text for task in self._tasks))
                except (OSError, ValueError):  # stderr is closed: nobody reads
                    self._ticking = False
                    return

    def _draw(self, text: str) -> None:
        now = time.monotonic()
        if on_terminal():
            width = shutil.get_terminal_size().columns - 1
            sys.stderr.write(CLEAR + set_cell_size(text, width).rstrip())
            sys.stderr.flush()
            self._drawn = True
        elif now - self._last_plain >= self._plain_s:
            self._last_plain = now
            print(text, file=sys.stderr, flush=True)

    def _clear(self) -> None:
        if self._drawn:
            self._drawn = False
            sys.stderr.write(CLEAR)
            sys.stderr.flush()


def on_terminal() -> bool:
    """True if stderr is a terminal on which a line can be written over."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


LIVE = Live()
