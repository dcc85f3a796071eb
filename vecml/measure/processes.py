"""Arms in real worker processes: the source of blocks that the coordinator uses outside tests.

Engines never share a process: thread counts are process-wide, and thread pools go on spinning after a call and slow
the next one (onnxruntime#13808). So each arm has a worker of its own, and a turn begins when the others have come to
rest, by their processes' own CPU clocks.
"""

import contextlib
import dataclasses
import json
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import IO, Any

from vecml import child
from vecml.measure.context import Counters, process_cpu_seconds, read_counters
from vecml.measure.coordinator import WorkerError
from vecml.measure.records import Arm, Opened, Plan, Reading

# A spinning thread uses all of the window, a worker at rest nothing; 5 % of a CPU is the line between them. A window of
# 5 ms was tried: on a busy machine a spinning thread may not have had its turn within it, and passed for one at rest.
IDLE_WINDOW_SECONDS = 0.020
IDLE_SHARE = 0.05
IDLE_PATIENCE_SECONDS = 2.0
LAST_WORDS_SECONDS = 5.0
LIMIT_WARM_SECONDS = 0.2  # no verdict hangs on it


class Process:
    """One worker process."""

    def __init__(self, arm: Arm, plan: Plan) -> None:
        self.arm = arm
        self._plan = plan
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 -- closed with the process
        variables = child.environment(**arm.environment)
        variables.setdefault("PYTHONUNBUFFERED", "1")
        self._process = subprocess.Popen(
            child.python("vecml.measure.worker"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            env=variables,
            start_new_session=True,  # Ctrl-C is for the coordinator, which ends its workers
        )
        self._buffer = b""
        self._send({"do": "start", "opener": arm.opener, "payload": dict(arm.payload)})

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def started(self) -> None:
        """Return when the arm's libraries are imported and its input is at hand."""
        self._receive(self._plan.open_seconds)

    def canary(self) -> float:
        """Seconds of the worker's fixed piece of work."""
        return float(self._ask({"do": "canary"}, self._plan.open_seconds)["seconds"])

    def open(self) -> Opened:
        """Make the arm ready."""
        told = self._ask({"do": "open"}, self._plan.open_seconds)
        return Opened(told["load_seconds"], told["facts"])

    def warm(self) -> tuple[int, float, float]:
        """Warm up as the plan says: calls, seconds, and the median call's seconds."""
        plan = self._plan
        request = {
            "do": "warm",
            "calls": plan.warm_calls,
            "seconds": plan.warm_seconds if self.arm.role != "limit" else LIMIT_WARM_SECONDS,
            "most_seconds": plan.patience_seconds / 2,
        }
        told = self._ask(request, plan.patience_seconds, "it hung, or one call is too slow for this budget")
        return told["calls"], told["seconds"], told["call_seconds"]

    def block(self, calls: int, expected_seconds: float) -> Reading:
        """Time a block of calls that should take `expected_seconds`."""
        patience = max(self._plan.patience_seconds, 10 * expected_seconds)
        return Reading(**self._ask({"do": "block", "calls": calls}, patience))

    def finish(self) -> tuple[Mapping[str, Any], int | None]:
        """The arm's last checks, and the worker's peak memory in bytes."""
        told = self._ask({"do": "finish"}, self._plan.open_seconds)
        return told["facts"], told["peak_rss_bytes"]

    def close(self) -> None:
        """End the process."""
        self._kill()
        with contextlib.suppress(KeyboardInterrupt):  # a second Ctrl-C finds it killed already
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._said):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def _ask(self, request: dict[str, Any], patience: float, silence: str = "it hung") -> dict[str, Any]:
        self._send(request)
        return self._receive(patience, silence)

    def _send(self, request: dict[str, Any]) -> None:
        pipe = self._process.stdin
        with contextlib.suppress(BrokenPipeError):  # it has ended: `_receive` says how
            if pipe is not None:
                pipe.write(json.dumps(request).encode() + b"\n")
                pipe.flush()

    def _receive(self, patience: float, silence: str = "it hung") -> dict[str, Any]:
        pipe = self._process.stdout
        if pipe is None:
            raise RuntimeError("the worker was made without pipes")
        limit = time.monotonic() + patience
        while b"\n" not in self._buffer:
            ready, _, _ = select.select([pipe], [], [], max(0.0, limit - time.monotonic()))
            if not ready:
                self._kill()
                raise WorkerError(f"{silence}: no answer within {patience:.0f} s, and it was ended")
            content = os.read(pipe.fileno(), 1 << 16)
            if not content:
                raise WorkerError(self._last_words())
            self._buffer += content
        line, _, self._buffer = self._buffer.partition(b"\n")
        told: dict[str, Any] = json.loads(line)
        if "error" in told:
            raise WorkerError(told["error"])
        return told

    def _kill(self) -> None:
        """End the process with all that it has started: it leads a session of its own."""
        if self._process.returncode is None:  # not waited for yet: the number is still its own
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _last_words(self) -> str:
        try:
            code = self._process.wait(LAST_WORDS_SECONDS)
        except subprocess.TimeoutExpired:
            self._kill()
            return "it closed its answers and went on, and was ended"
        if code == -signal.SIGKILL:
            return "its process was killed (SIGKILL), which is what the system does when memory runs out"
        if code < 0:
            return f"its process was ended by {signal.Signals(-code).name}"
        self._said.seek(0)
        said = self._said.read().decode(errors="replace")
        return f"its process ended with {code} and said: {child.cause(said)}"


class ProcessCrew:
    """A launch's workers."""

    def __init__(self, arms: Sequence[Arm], plan: Plan) -> None:
        self.workers: dict[str, Process] = {}
        self._cpu_seconds: dict[str, float] = {}
        try:
            for arm in arms:
                self.workers[arm.name] = Process(arm, plan)
        except BaseException:
            self.close()
            raise

    def wait_idle(self, turn: str) -> bool:
        """Return when every worker but that of `turn` is at rest; False when one is not in spite of patience."""
        others = [worker.pid for name, worker in self.workers.items() if name != turn]
        limit = time.monotonic() + IDLE_PATIENCE_SECONDS
        while True:
            before = [process_cpu_seconds(pid) for pid in others]
            begun = time.monotonic()
            time.sleep(IDLE_WINDOW_SECONDS)
            passed = time.monotonic() - begun
            after = [process_cpu_seconds(pid) for pid in others]
            used = [
                late - early
                for early, late in zip(before, after, strict=True)
                if early is not None and late is not None
            ]
            if all(seconds < IDLE_SHARE * passed for seconds in used):
                return True
            if time.monotonic() > limit:
                return False

    def counters(self) -> Counters | None:
        """The machine's counters now; a worker that has ended counts with what it had used when it was last asked."""
        for name, worker in self.workers.items():
            used = process_cpu_seconds(worker.pid)
            self._cpu_seconds[name] = max(self._cpu_seconds.get(name, 0.0), used or 0.0)
        seen = read_counters(())
        return dataclasses.replace(seen, own_seconds=(seen.own_seconds or 0.0) + sum(self._cpu_seconds.values()))

    def close(self) -> None:
        """End every worker."""
        for worker in self.workers.values():
            worker.close()
        self.workers.clear()


class ProcessSource:
    """Starts fresh worker processes for every launch."""

    def start(self, arms: Sequence[Arm], plan: Plan, launch: int, group: int) -> ProcessCrew:  # noqa: ARG002 -- the interface
        """A fresh set of workers; their imports go on at the same time."""
        return ProcessCrew(arms, plan)
