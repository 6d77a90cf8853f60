"""One port's process: a request goes in as a line, an answer comes back as a line, or trouble.

Whatever the process does (crash, hang, flood), `ask` returns within its time limit, and
`close` leaves no process behind.
"""

import contextlib
import os
import selectors
import shutil
import subprocess
import tempfile
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from conformance.ground.statuses import Status
from conformance.process import readable, tree
from conformance.process.pulse import Pulse
from conformance.process.sandbox import Reach
from conformance.process.words import Words, killed_by

CHUNK = 2**16


class Trouble(Exception):
    """The process did not answer as it should; it must not be asked again.

    `said` are its own words in further lines, announced by the end of the reason.
    """

    def __init__(self, status: Status, what: str, said: str = "") -> None:
        super().__init__(what + said)
        self.status = status
        self.what, self.said = what, said

    @property
    def reason(self) -> str:
        """What happened, and what the process said."""
        return self.what + self.said


class Channel:
    """Starts the process at once, in an empty folder, confined as conformance.process.sandbox says.

    It may read its `own` folders and write to those that it `writes`. Raises Trouble if it cannot
    be started.
    """

    def __init__(
        self,
        command: list[str],
        env: dict[str, str],
        memory_limit_mb: int,
        own: Sequence[Path] = (),
        writes: Sequence[Path] = (),
    ) -> None:
        self._folder = ""
        self._words = Words()
        self._unread = bytearray()
        self._pending = memoryview(b"")
        try:
            self._folder = tempfile.mkdtemp(prefix="port-")
            env = {**env, "TMPDIR": self._folder}
            if shutil.which(command[0], path=env.get("PATH")) is None:
                raise FileNotFoundError(f"no such program: {command[0]}")
            self._tree = tree.Tree(
                command,
                self._folder,
                env,
                own_session=True,
                memory_limit_mb=memory_limit_mb,
                view=readable.view(own, (*writes, self._folder), command),
            )
        except (OSError, ValueError) as error:
            delete_folder(self._folder)
            raise Trouble(Status.CRASH, f"cannot be started: {error}") from error
        self._stdin, self._stdout, self._errors = self._tree.pipes

    @property
    def within_reach(self) -> Collection[Reach]:
        """What could not be closed to the process."""
        return self._tree.within_reach

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def ask(
        self, request: bytes, limit_s: float, max_bytes: int, idle_s: float | None = None
    ) -> bytes:
        """Send one line, return the line that answers it.

        Raises Trouble when the process ends or uses more memory than it may (CRASH), is
        silent for `limit_s` seconds, or for `idle_s` seconds in which it does nothing (TIMEOUT), or
        writes before it is asked or more than `max_bytes` (GARBAGE).
        """
        self._words.begin()
        pulse = Pulse(self._tree)
        deadline = time.monotonic() + limit_s
        if self._unread or self._read(self._stdout):
            raise Trouble(Status.GARBAGE, "wrote to stdout without being asked")
        self._pending = memoryview(request)
        scanned = 0
        with selectors.DefaultSelector() as selector:
            selector.register(self._stdin, selectors.EVENT_WRITE)
            selector.register(self._stdout, selectors.EVENT_READ)
            selector.register(self._errors, selectors.EVENT_READ)
            while (end := self._unread.find(b"\n", scanned)) < 0:
                scanned = len(self._unread)
                if scanned > max_bytes:
                    break
                if time.monotonic() > deadline:
                    raise Trouble(Status.TIMEOUT, f"no answer within {limit_s:g} s", self._said())
                if idle_s is not None and pulse.idle_s() > idle_s:
                    waited = f"no answer within {idle_s:g} s, in which it did nothing"
                    raise Trouble(Status.TIMEOUT, waited, self._said())
                self._pump(selector, max(0.0, deadline - time.monotonic()))
                tree.watch()
        if max(end, scanned) > max_bytes:
            raise Trouble(Status.GARBAGE, f"answer is longer than {max_bytes} bytes")
        line = bytes(self._unread[:end])
        del self._unread[: end + 1]
        return line

    def _pump(self, selector: selectors.BaseSelector, wait_s: float) -> None:
        """Move what can be moved; raise Trouble if the process has ended."""
        ready = [key.fileobj for key, _ in selector.select(min(tree.WATCH_S, wait_s))]
        if self._stdin in ready:
            self._write()
            if not self._pending:
                selector.unregister(self._stdin)
        if self._errors in ready and not self._drain_stderr():
            selector.unregister(self._errors)
        # A child that keeps the pipe open hides the end of the process, so its status is
        # looked at; and before the pipe is, since an answer may be the last that it did.
        ended = self._tree.main.poll() is not None
        data = self._read(self._stdout)
        if data == b"" or (data is None and ended):
            raise self._ended()
        self._unread += data or b""

    def close(self) -> None:
        """Let the process end by itself for a moment, then kill all that it started."""
        self._tree.end(patience_s=1.0)
        delete_folder(self._folder)

    def interrupt(self) -> None:
        """Kill the main process: who waits for its answer gets Trouble, and ends the rest."""
        self._tree.main.kill()

    def kill(self) -> None:
        """End the process at once; after trouble, there is nothing to wait for."""
        self._tree.end()
        delete_folder(self._folder)

    def _write(self) -> None:
        try:
            sent = os.write(self._stdin.fileno(), self._pending[:CHUNK])
        except BlockingIOError:
            sent = 0
        except OSError:  # the process closed its stdin or ended; reading will say which
            sent = len(self._pending)
        self._pending = self._pending[sent:]

    @staticmethod
    def _read(stream: IO[bytes]) -> bytes | None:
        """What is there to read: None if nothing is, b"" at the end."""
        try:
            return os.read(stream.fileno(), CHUNK)
        except BlockingIOError:
            return None

    def _drain_stderr(self) -> bool:
        """Keep what matters of what is on stderr; False once it is closed."""
        data = self._read(self._errors)
        self._words.add(data or b"")
        return data != b""

    def _ended(self) -> Trouble:
        if self._tree.over_limit:
            limit = self._tree.memory_limit_mb
            what = f"used more than {limit} MB of memory"
            return Trouble(Status.CRASH, what, self._said())
        try:
            code = self._tree.main.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            return Trouble(Status.CRASH, "closed its stdout without answering", self._said())
        what = (
            f"was {killed_by(-code)}"
            if code < 0
            else f"ended with exit code {code} without answering"
        )
        return Trouble(Status.CRASH, what, self._said())

    def _said(self) -> str:
        """What is on stderr, which often says why."""
        self._drain_stderr()
        return str(self._words)


def delete_folder(path: str) -> None:
    """Delete a folder, whatever a port has made in it: locked, or deeper than Python can go."""
    with contextlib.suppress(RecursionError):
        shutil.rmtree(path, ignore_errors=True)
    if os.path.lexists(path):
        for command in (["chmod", "-R", "u+rwx", path], ["rm", "-rf", path]):
            with contextlib.suppress(OSError):
                subprocess.run(command, stderr=subprocess.DEVNULL)
