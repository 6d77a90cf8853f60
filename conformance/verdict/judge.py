"""Judges one target: asks it the questions of a case."""

import re
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace

import numpy as np

from conformance.ground.places import CASES, FRESH, PAIRS, command
from conformance.ground.statuses import Status
from conformance.process import memory
from conformance.process.channel import Channel, Trouble
from conformance.process.sandbox import Reach
from conformance.suite.traces import Trace
from conformance.targets.build import Lack, NotReady, Ready, files_sha256
from conformance.verdict.diagnosis import Answer, Checked
from conformance.verdict.divergence import explain
from conformance.verdict.outcome import verdict_of, with_known_failures
from conformance.verdict.repeat import of_both
from conformance.verdict.verdict import Verdict
from conformance.wire.client import Client
from conformance.wire.requests import Failure, Unsupported, function_of
from reference.cases.case import Case
from reference.golden.checks import PredictCheck, RunCheck
from reference.golden.start import Start

REPEATED = 30  # cases of up to this many iterations are asked twice
QUICK_S = 2.0  # a wrong answer to a longer case is asked for again if it took no longer


@dataclass
class Asked:
    """One asking of a case: the answer as far as it went, and the verdict if that is not all."""

    answer: Answer = field(default_factory=Answer)
    started: bool = False  # or the port's process did not come up
    ended: Verdict | None = None
    seconds: float = 0.0


class Judge:
    """Holds one target's process between cases, and restarts it after trouble.

    `client` asks it: Client, or a class that asks in a different way. Where a target is
    `required`, what is missing for it is a FAIL and no SKIP. If `strict`, so are other bits the
    second time. Memory that its process has not written is `filled`, except for timing.
    """

    def __init__(
        self,
        prepared: Ready | NotReady,
        client: Callable[[Channel, float], Client] = Client,
        *,
        required: bool = False,
        strict: bool = False,
        filled: bool = True,
    ) -> None:
        self.prepared, self.required, self.strict = prepared, required, strict
        self._make_client, self._filled = client, filled
        self.target = prepared.target
        # Now, since it may be edited while it is judged. Documents are left out: they do not run.
        self.sha256 = files_sha256(self.target.port.folder, documents=False)
        self.device: str | None = None
        self.within_reach: Collection[Reach] | None = None  # of its process, once there is one
        self._channel: Channel | None = None
        self._client: Client | None = None
        self._fill = memory.FILLS[0]
        self._hopeless: Verdict | None = None  # of a failed start, repeated for every case

    def again(self, client: Callable[[Channel, float], Client] | None = None) -> "Judge":
        """A second judge of the same target, with a process of its own, and perhaps a client."""
        client = client or self._make_client
        return Judge(self.prepared, client, required=self.required, strict=self.strict)

    def for_timing(self) -> "Judge":
        """One whose process has its memory as the system gives it: to fill it takes time."""
        return Judge(self.prepared, self._make_client, required=self.required, filled=False)

    def judge(self, case: Case, trace: Trace) -> Verdict:
        """The verdict for one case in the dtype of `trace`, known failures considered."""
        verdict = self._judge(case, trace)
        return self.explained(verdict, case) if verdict.status.wrong else verdict

    def explained(self, verdict: Verdict, case: Case) -> Verdict:
        """A wrong verdict with its explanation, if the case has a file to repeat it with."""
        if case.file is None:
            return verdict
        own = case.path.resolve().parent in (CASES, PAIRS, FRESH)  # an id says it all
        rung = self.target.rung.name if self.target.rung else None
        name = case.id if own else str(case.path)
        reproduce = command(self.target.port.folder, name, rung, strict=self.strict)
        return verdict.but(explanation=explain(verdict, reproduce))

    def client(self) -> Client:
        """The running process; started and greeted if need be.

        Raises Trouble, Unsupported or Failure if it does not come up.
        """
        if self._client is None:
            if isinstance(self.prepared, NotReady):
                raise Unsupported(self.prepared.reason)
            run = self.target.port.manifest.run
            env = self.prepared.env
            self._fill = memory.FILLS[0]
            self._channel = Channel(
                self.prepared.command,
                memory.filled(env) if self._filled else env,
                run.memory_limit_mb,
                self.prepared.own,
                self.prepared.writes,
            )
            self.within_reach = self._channel.within_reach
            client = self._make_client(self._channel, run.time_limit_s)
            self.device = client.hello()
            self._client = client
        return self._client

    @property
    def missing(self) -> Lack | None:
        """What the target could not be started without."""
        return self.prepared.missing if isinstance(self.prepared, NotReady) else None

    def interrupt(self) -> None:
        """End the process from another thread; what asks it finds that out."""
        if (channel := self._channel) is not None:
            channel.interrupt()

    def close(self) -> None:
        """End the process; it may be started again."""
        if self._channel is not None:
            self._channel.close()
        self._channel = self._client = None

    def _verdict(self, trace: Trace, status: Status, reason: str) -> Verdict:
        name, case = self.target.name, trace.case.id
        return Verdict.without_numbers(name, case, trace.dtype, status, reason)

    def _missing(self, trace: Trace, reason: str) -> Verdict:
        """What is missing or does not work on this machine is a SKIP, unless it is required."""
        if self.required:
            return self._verdict(trace, Status.FAIL, f"required, but skipped: {reason}")
        return self._verdict(trace, Status.SKIP, reason)

    def _judge(self, case: Case, trace: Trace) -> Verdict:
        for capability in case.needs:
            if capability not in self.target.capabilities:
                reason = f"does not list the capability {capability}"
                return self._verdict(trace, Status.SKIP, reason)
        if isinstance(self.prepared, NotReady):
            if self.prepared.missing:
                return self._missing(trace, self.prepared.reason)
            return self._verdict(trace, Status.FAIL, self.prepared.reason)
        known = [
            failure
            for failure in self.target.known_failures
            if failure.case == case.id and failure.dtype in (None, trace.dtype)
        ]
        return with_known_failures(self._attempt(case, trace), known)

    def _attempt(self, case: Case, trace: Trace) -> Verdict:
        if self._hopeless is not None:
            return self._hopeless.but(case=case.id, dtype=trace.dtype)
        first = self._ask(trace, memory.FILLS[0])
        verdict = first.ended or self._of(trace, first.answer)
        if not first.started or verdict.status in (Status.SKIP, Status.TIMEOUT):
            return verdict
        quickly_wrong = verdict.status.wrong and first.seconds < QUICK_S
        if case.iterations > REPEATED and not quickly_wrong:
            return verdict
        second = self._ask(trace, memory.FILLS[1])
        if not second.started:
            return verdict
        # Only what went right before is worth the time that looking for known bugs takes.
        diagnosed = trace.diagnosed and verdict.status == Status.PASS
        then = second.ended or self._of(replace(trace, diagnosed=diagnosed), second.answer)
        answers = first.answer, second.answer
        return of_both(verdict, then, *answers, strict=self.strict)

    def _ask(self, trace: Trace, fill: int) -> Asked:
        """Ask once, with memory filled with this byte; ends the process after trouble."""
        asked, begun = Asked(), time.monotonic()
        try:
            client = self.client()
            asked.started = True
            self._fill_memory(client, fill)
            ask(client, trace, self.target.max_iterations, asked.answer)
        except Trouble as trouble:
            # Of GARBAGE, the reason says which part of the answer it is.
            silent = asked.started and trouble.status != Status.GARBAGE
            what = (self._asked() if silent else "") + trouble.what + self._hint(trouble, asked)
            reason = what + trouble.said
            if self._channel is not None:
                self._channel.kill()
            self.close()
            asked.ended = self._verdict(trace, trouble.status, reason)
        except Unsupported as reason:
            if asked.started and self.target.may_decline:
                asked.ended = self._verdict(trace, Status.SKIP, str(reason))
            else:
                asked.ended = self._missing(trace, str(reason))
        except Failure as reason:
            asked.ended = self._verdict(trace, Status.FAIL, f"{self._speaker()}{reason}")
        asked.seconds = time.monotonic() - begun
        if asked.ended is None:
            return asked
        if not asked.started:
            # It would end the same way for every case, after the same wait.
            self.close()
            asked.ended = asked.ended.but(reason=f"on start: {asked.ended.reason}")
            self._hopeless = asked.ended
        else:
            asked.ended = self._with_earlier_answers(asked.ended, trace, asked.answer)
        return asked

    def _fill_memory(self, client: Client, byte: int) -> None:
        """Have the worker's memory filled with this byte; other programs keep the first."""
        if self._filled and self._fill != byte and self.target.port.manifest.kind != "process":
            client.fill(byte)
            self._fill = byte

    def _hint(self, trouble: Trouble, asked: Asked) -> str:
        """The end of a sentence on trouble: what to look at first, where that is known."""
        kind = self.target.port.manifest.kind
        if trouble.status == Status.TIMEOUT and not asked.started:
            if kind == "process":
                return "; is each answer flushed?"
            return "; what does it wait for while it is loaded?"
        first_call = kind == "c-abi" and asked.started and not asked.answer.checked
        if first_call and re.search(r"SIGSEGV|SIGBUS", trouble.what):
            return "; look at the layout of backprop_settings first"
        return ""

    def _speaker(self) -> str:
        """The begin of a sentence on a failure: the harness's worker speaks for its own kinds."""
        kind = self.target.port.manifest.kind
        return {"process": "the port says: ", "python": self._asked()}.get(kind, "")

    def _asked(self) -> str:
        """The begin of a sentence on trouble: what was asked; the function, if it is known."""
        request = self._client.asked if self._client else {}
        if "dtype" not in request:
            return ""
        kind = self.target.port.manifest.kind
        if kind == "c-abi":
            return f"in {function_of(request)}: "
        return f"in {request['op']}: " if kind == "python" else f"asked for {request['op']}: "

    def _of(self, trace: Trace, answer: Answer) -> Verdict:
        return verdict_of(self.target.name, trace, answer)

    def _with_earlier_answers(self, verdict: Verdict, trace: Trace, answer: Answer) -> Verdict:
        """A wrong answer still counts if the port stopped answering later."""
        earlier = self._of(trace, answer) if answer.checked else verdict
        if earlier is verdict or earlier.status != Status.FAIL:
            return verdict
        return earlier.but(reason=f"{earlier.reason}; then {verdict.status}: {verdict.reason}")


def ask(client: Client, trace: Trace, max_iterations: int | None, answer: Answer) -> None:
    """Ask for all that a trace is about, in its order.

    Fills `answer` as far as the port answers. Raises what the client raises.
    """
    for due in trace.due:
        if (asked := due.upto(max_iterations)) is not None:
            found = zip(client.answer_to(asked.check), asked.expected, strict=True)
            answer.checked += [Checked(asked.check, n, got, e) for (n, got), (_, e) in found]
    last = trace.case.iterations
    if trace.correct is not None and (max_iterations is None or last <= max_iterations):
        answer.correct = classified(client, trace)


def classified(client: Client, trace: Trace) -> int:
    """How many of the held-out samples the port classifies correctly after its whole run."""
    from reference.golden.accuracy import correct  # here, since few cases ask for it

    case, dtype = trace.case, trace.dtype
    last = case.iterations
    [(_, trained)] = client.answer_to(RunCheck(Start(case, dtype), [last]))
    X, y = case.held_out(dtype)
    state = [np.asarray(value, dtype=dtype) for name, value in trained if name != "error"]
    [(_, [(_, output)])] = client.answer_to(PredictCheck(Start(case, dtype, state), [last], X))
    return int(correct(output, y))
