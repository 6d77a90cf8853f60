"""Judges one port: runs a case on it and says PASS, FAIL, CRASH, TIMEOUT, GARBAGE or SKIP."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from conformance.process.channel import Channel, Trouble
from conformance.suite.compare import compare, farthest
from conformance.suite.traces import Trace
from conformance.targets.build import NotReady, Ready, files_sha256
from conformance.targets.manifest import KnownFailure, Status
from conformance.verdict.diagnosis import Answer, line_of, probable_bugs
from conformance.verdict.divergence import WHERE, Divergence, element, one_line
from conformance.wire.client import Client, Failure, Question, Unsupported
from reference.cases.case import Case
from reference.cases.tables import DType
from reference.golden.accuracy import correct

REPEATED = 30  # the most iterations of a case that is asked twice


@dataclass(frozen=True)
class Verdict:
    """What came of one port, case and dtype.

    `margin` is the worst deviation as a multiple of its tolerance, or None where nothing
    was compared. `missing` tells a SKIP for something that is not here from one for a
    case that does not concern the port. `drift` is known where a case is timed: for each tensor,
    the largest deviation at each checkpoint of the free run.
    """

    status: Status
    margin: float | None = None
    reason: str = ""
    numbers: int = 0
    divergence: Divergence | None = None
    missing: bool = False
    accuracy: float | None = None  # the part of held-out samples that is classified rightly
    drift: dict[str, dict[int, float]] = field(default_factory=dict)


class Judge:
    """Holds one target's process between cases, and restarts it after trouble.

    `client` is what asks it: Client, or one that asks in another way.
    """

    def __init__(
        self, prepared: Ready | NotReady, client: Callable[[Channel, float], Client] = Client
    ) -> None:
        self.prepared = prepared
        self._make_client = client
        self.target = prepared.target
        # Now, when it was built: it may be edited while it is judged. Documents are not run.
        self.sha256 = files_sha256(self.target.port.folder, documents=False)
        self.device: str | None = None
        self._channel: Channel | None = None
        self._client: Client | None = None
        self._hopeless: Verdict | None = None

    def judge(self, case: Case, trace: Trace) -> Verdict:
        """The verdict for one case in the dtype of `trace`, known failures considered."""
        for capability in case.needs:
            if capability not in self.target.capabilities:
                return Verdict("SKIP", reason=f"does not list the capability {capability}")
        if isinstance(self.prepared, NotReady):
            status: Status = "SKIP" if self.prepared.status == "SKIP" else "FAIL"
            return Verdict(status, reason=self.prepared.reason, missing=True)
        known = [
            failure
            for failure in self.target.known_failures
            if failure.case == case.id and failure.dtype in (None, trace.dtype)
        ]
        return with_known_failures(self._attempt(case, trace), known)

    def client(self) -> Client:
        """The running process; started and greeted if need be.

        Raises Trouble, Unsupported or Failure if it does not come up.
        """
        if self._client is None:
            if isinstance(self.prepared, NotReady):
                raise Unsupported(self.prepared.reason)
            run = self.target.port.manifest.run
            self._channel = Channel(self.prepared.command, self.prepared.env, run.memory_limit_mb)
            client = self._make_client(self._channel, run.time_limit_s)
            self.device = client.hello()
            self._client = client
        return self._client

    def interrupt(self) -> None:
        """End the process from another thread; what asks it finds that out."""
        if (channel := self._channel) is not None:
            channel.interrupt()

    def close(self) -> None:
        """End the process; it may be started again."""
        if self._channel is not None:
            self._channel.close()
        self._channel = self._client = None

    def _attempt(self, case: Case, trace: Trace) -> Verdict:
        if self._hopeless is not None:
            return self._hopeless
        started = False
        answer = Answer()
        try:
            client = self.client()
            started = True
            ask(client, case, trace, self.target.max_iterations, answer)
            verdict = verdict_of(case, trace, answer)
            if verdict.status != "PASS" or case.iterations > REPEATED:
                return verdict
            again = Answer()
            ask(client, case, trace, self.target.max_iterations, again)
            return same_again(verdict, answer, again)
        except Trouble as trouble:
            if self._channel is not None:
                self._channel.kill()
            self.close()
            verdict = Verdict(trouble.status, reason=trouble.reason)
        except Unsupported as reason:
            missing = not (started and self.target.may_decline)
            verdict = Verdict("SKIP", reason=str(reason), missing=missing)
        except Failure as reason:
            verdict = Verdict("FAIL", reason=f"the port says: {reason}")
        if not started:
            # It would end the same way for every case, after the same wait.
            self.close()
            hint = "; is each answer flushed?" if verdict.status == "TIMEOUT" else ""
            self._hopeless = replace(verdict, reason=f"on start: {verdict.reason}{hint}")
            return self._hopeless
        return _with_earlier_answers(verdict, case, trace, answer)


def _with_earlier_answers(verdict: Verdict, case: Case, trace: Trace, answer: Answer) -> Verdict:
    """A wrong answer is not forgotten because the port then gave none."""
    if not answer.checked:
        return verdict
    earlier = verdict_of(case, trace, answer)
    if earlier.status != "FAIL":
        return verdict
    return replace(earlier, reason=f"{earlier.reason}; then {verdict.status}: {verdict.reason}")


def ask(
    client: Client, case: Case, trace: Trace, max_iterations: int | None, answer: Answer
) -> None:
    """Ask for all of one case: what starts from golden states first, the free run last.

    Fills `answer` as far as the port answers. Raises what the client raises.
    """
    for seed, expected in trace.drawn:
        got = client.initial(Question(case, trace.dtype), seed)
        answer.checked.append(("drawn", seed, got, expected))
    for n, expected in trace.steps:
        got = client.step(Question(case, trace.dtype, trace.state(n), n))
        answer.checked.append(("step", n, got, expected))
    for n, expected in trace.predictions:
        assert case.predict is not None
        X = np.array(case.predict.X, dtype=trace.dtype)
        got = client.predict(Question(case, trace.dtype, trace.state(n)), X)
        answer.checked.append(("predict", n, got, expected))
    due = [
        (n, expected)
        for n, expected in trace.checkpoints
        if max_iterations is None or n <= max_iterations
    ]
    if due:
        run = client.train(Question(case, trace.dtype), [n for n, _ in due])
        answer.checked += [
            ("run", n, got, expected) for (_, got), (n, expected) in zip(run, due, strict=True)
        ]
    last = case.iterations
    if trace.correct is not None and (max_iterations is None or last <= max_iterations):
        answer.correct = classified(client, case, trace.dtype)


def classified(client: Client, case: Case, dtype: DType) -> int:
    """How many of the held-out samples the port classifies rightly after its whole run."""
    [(_, trained)] = client.train(Question(case, dtype), [case.iterations])
    X, y = case.held_out(dtype)
    state = [np.asarray(value, dtype=dtype) for name, value in trained if name != "error"]
    [(_, output)] = client.predict(Question(case, dtype, state), X)
    return int(correct(output, y))


def verdict_of(case: Case, trace: Trace, answer: Answer) -> Verdict:
    """PASS or FAIL for what a port answered."""
    return replace(_verdict(case, trace, answer), drift=_drift(answer) if case.timing else {})


def _drift(answer: Answer) -> dict[str, dict[int, float]]:
    """By tensor and iteration, the largest deviation in the free run, as far as it went."""
    found: dict[str, dict[int, float]] = {}
    for check, n, got, expected in answer.checked:
        if check == "run":
            for (name, values), golden in zip(got, expected, strict=True):
                found.setdefault(name, {})[n] = farthest(values, golden.value)
    return found


def _verdict(case: Case, trace: Trace, answer: Answer) -> Verdict:
    comparisons = [compare(got, wanted, trace.dtype) for _, _, got, wanted in answer.checked]
    numbers = sum(c.numbers for c in comparisons)
    if numbers == 0:
        return Verdict("FAIL", reason="nothing was compared")
    margin = max(c.margin for c in comparisons)
    for (check, n, _, _), comparison in zip(answer.checked, comparisons, strict=True):
        if comparison.first is not None:
            name = comparison.first.tensor
            line = line_of(case, name) if check == "step" else None
            bugs = probable_bugs(case, trace, answer) if trace.diagnosed else []
            divergence = Divergence(check, n, comparison.first, line, tuple(bugs))
            return Verdict("FAIL", margin, one_line(divergence), numbers, divergence)
    reached = max((n for check, n, _, _ in answer.checked if check == "run"), default=0)
    last = max(n for n, _ in trace.checkpoints)
    if reached < last:
        return Verdict("PASS", margin, f"first {reached} of {last} iterations", numbers)
    if answer.correct is None:
        return Verdict("PASS", margin, "", numbers)
    samples = len(case.held_out(trace.dtype)[1])
    found = f"{answer.correct} of {samples} held-out samples"
    if answer.correct != trace.correct:
        reason = f"classifies {found} rightly after the whole run, and not {trace.correct}"
        return Verdict("FAIL", margin, reason, numbers)
    accuracy = answer.correct / samples
    return Verdict("PASS", margin, "", numbers, accuracy=accuracy)


def with_known_failures(verdict: Verdict, known: list[KnownFailure]) -> Verdict:
    """XFAIL for a failure that the manifest foretells; FAIL if it foretells another."""
    if not known:
        return verdict
    for failure in known:
        if failure.status == verdict.status and failure.message in verdict.reason:
            return replace(verdict, status="XFAIL", reason=f"{failure.reason} ({verdict.reason})")
    foretold = f"{known[0].status} with {known[0].message!r}"
    return replace(
        verdict,
        status="FAIL",
        reason=f"known failure did not occur: the manifest foretells {foretold}, "
        f"but it was {verdict.status} {verdict.reason}".rstrip(),
    )


def same_again(verdict: Verdict, answer: Answer, again: Answer) -> Verdict:
    """The verdict, or a FAIL where a port answers the same question with other bits.

    Each question stands for itself: nothing may be left of the one before, and no sum may
    depend on which thread comes first.
    """
    for (check, n, first, _), (_, _, second, _) in zip(answer.checked, again.checked, strict=True):
        for (name, a), (_, b) in zip(first, second, strict=True):
            one, other = np.asarray(a), np.asarray(b)
            if not len(different := np.argwhere(one != other)):
                continue
            index = tuple(int(i) for i in different[0])
            where = element(name, index)
            reason = (
                f"asked the same again, it answers otherwise: {where} {WHERE[check]} {n}: "
                f"first {one[index].item()!r}, then {other[index].item()!r}"
            )
            return replace(verdict, status="FAIL", reason=reason)
    return verdict
