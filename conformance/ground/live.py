"""What goes on: one line that changes on a terminal; in a log, a line now and then.

It goes to stderr, so that stdout stays for results.
"""

import os
import shutil
import sys
import threading
import time
from collections import Counter
from types import TracebackType

from conformance.ground.text import for_terminal, plain

TICK_S = 0.2
PLAIN_S = 10.0  # between lines where there is no terminal
CLEAR = "\r\x1b[K"


class Task:
    """Work that takes a while, as in "building zig 12 s" or "judging c: 34 of 77".

    `of` is how many steps there are, if they are counted, and `done` how many are behind us. Any
    thread may change a task; each name is there as long as one of them is busy with it.
    """

    def __init__(self, verb: str, name: str | None = None, of: int | None = None) -> None:
        self.verb, self.of, self.done = verb, of, 0
        self._names = Counter([name] if name is not None else [])
        self._started = time.monotonic()
        self._lock = threading.Lock()

    def __enter__(self) -> "Task":
        """Show it from now on."""
        LIVE.start(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Show it no more."""
        LIVE.end(self)

    def begin(self, name: str) -> None:
        """A step with this name begins."""
        with self._lock:
            self._names[name] += 1

    def finish(self, name: str) -> None:
        """A step with this name is done; after the last one, the task is not shown any more."""
        with self._lock:
            self._names -= Counter([name])
            self.done += 1
        if self.done == self.of:
            LIVE.end(self)

    @property
    def text(self) -> str:
        """The task as a person reads it."""
        with self._lock:
            names = ", ".join(self._names)
        said = f"{self.verb} {names}" if names else self.verb
        if self.of is not None:
            return f"{said}{':' * bool(names)} {self.done} of {self.of}"
        seconds = int(time.monotonic() - self._started)
        return f"{said} {seconds} s" if seconds else said


class Live:
    """The line that shows all tasks. Any thread may call any method."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._tasks: list[Task] = []
        self._ticker: threading.Thread | None = None
        self._drawn = ""  # what is on the terminal now
        self._plain, self._last_plain = "", 0.0

    def say(self, text: str) -> None:
        """Print a line that stays."""
        with self._lock:
            self._clear()
            print(for_terminal(text), file=sys.stderr, flush=True)

    def note(self, text: str) -> None:
        """Say what goes on where there is no terminal, on which the tasks say it."""
        if not on_terminal():
            self.say(text)

    def start(self, task: Task) -> None:
        """Show a task from now on."""
        with self._lock:
            if not self._tasks:
                self._last_plain = time.monotonic()
            self._tasks.append(task)
            if self._ticker is None:
                self._ticker = threading.Thread(target=self._tick, daemon=True)
                self._ticker.start()

    def end(self, task: Task) -> None:
        """Show it no more; once there are no tasks, there is no line."""
        with self._lock:
            self._tasks = [other for other in self._tasks if other is not task]
            if not self._tasks:
                self._clear()

    def _tick(self) -> None:
        while True:
            time.sleep(TICK_S)
            with self._lock:
                if not self._tasks:
                    self._ticker = None
                    return
                self._draw(plain("; ".join(task.text for task in self._tasks)))

    def _draw(self, text: str) -> None:
        now = time.monotonic()
        if not on_terminal():
            if now >= self._last_plain + PLAIN_S and text != self._plain:
                self._plain, self._last_plain = text, now
                print(for_terminal(text), file=sys.stderr, flush=True)
        elif text != self._drawn:  # timing is disturbed no more than needed
            from rich.cells import set_cell_size  # here, since a log can spare it

            width = shutil.get_terminal_size().columns - 1
            sys.stderr.write(CLEAR + set_cell_size(text, width).rstrip())
            sys.stderr.flush()
            self._drawn = text

    def _clear(self) -> None:
        if self._drawn:
            self._drawn = ""
            sys.stderr.write(CLEAR)
            sys.stderr.flush()


def on_terminal() -> bool:
    """True if stderr is a terminal on which a line can be written over."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


LIVE = Live()
