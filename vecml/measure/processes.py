"""Arms in real worker processes: the source of blocks that the coordinator uses outside tests.

Engines never share a process: thread counts are process-wide, and thread pools go on spinning after a call and slow
the next one (onnxruntime#13808). So each arm has a worker of its own, and a turn begins when the others have come to
rest, by their processes' own CPU clocks.
"""

import dataclasses
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from vecml import child
from vecml.measure.context import Counters, process_cpu_seconds, read_counters, waited_cpu_seconds
from vecml.measure.coordinator import WorkerError
from vecml.measure.records import Arm, Opened, Plan, Reading
from vecml.measure.tree import descendants, end

# A spinning thread uses all of the window, a worker at rest nothing; 5 % of a CPU is the line between them. A window of
# 5 ms was tried: on a busy machine a spinning thread may not have had its turn within it, and passed for one at rest.
IDLE_WINDOW_SECONDS = 0.020
IDLE_SHARE = 0.05
IDLE_PATIENCE_SECONDS = 2.0
LIMIT_WARM_SECONDS = 0.2  # no verdict hangs on it


class Process:
    """A worker process that measures one arm."""

    def __init__(self, arm: Arm, plan: Plan) -> None:
        self.arm = arm
        self._plan = plan
        self._is_finishing = False
        variables = child.environment(**arm.environment)
        variables.setdefault("PYTHONUNBUFFERED", "1")
        self._child = child.spawn(child.python("vecml.measure.worker"), variables)
        self._send({"do": "start", "opener": arm.opener, "payload": dict(arm.payload)})

    @property
    def pid(self) -> int:
        return self._child.pid

    def started(self) -> None:
        """Return when the arm's libraries are imported and its input is at hand."""
        self._receive(self._plan.open_seconds)

    def canary(self) -> float:
        return float(self._ask({"do": "canary"}, self._plan.open_seconds)["seconds"])

    def open(self) -> Opened:
        answer = self._ask({"do": "open"}, self._plan.open_seconds)
        return Opened(answer["load_seconds"], answer["facts"])

    def warm(self) -> tuple[int, float, float]:
        """Warm up as the plan says: calls after the first one, their seconds together, and a warm call's seconds."""
        plan = self._plan
        longest = plan.patience_seconds if plan.first_call_seconds is None else plan.first_call_seconds
        self._ask({"do": "first"}, longest, "it hung, or its first call is too slow for this budget")
        request = {
            "do": "warm",
            "calls": plan.warm_calls,
            "seconds": plan.warm_seconds if self.arm.role != "limit" else LIMIT_WARM_SECONDS,
            "most_seconds": plan.patience_seconds / 2,
            "block_seconds": plan.block_seconds,
        }
        answer = self._ask(request, plan.patience_seconds, "it hung, or one call is too slow for this budget")
        return answer["calls"], answer["seconds"], answer["call_seconds"]

    def block(self, calls: int, expected_seconds: float) -> Reading:
        """Time a block of calls that should take `expected_seconds`."""
        patience = max(self._plan.patience_seconds, 10 * expected_seconds)
        return Reading(**self._ask({"do": "block", "calls": calls}, patience))

    def finishing(self) -> None:
        """Begin the arm's last checks."""
        self._send({"do": "finish"})
        self._is_finishing = True

    def finish(self) -> tuple[Mapping[str, Any], int | None]:
        """The arm's last checks, and the worker's peak memory in bytes."""
        if not self._is_finishing:
            self.finishing()
        answer = self._receive(self._plan.open_seconds)
        return answer["facts"], answer["peak_rss_bytes"]

    def kill(self) -> None:
        """End the process at once, with all that it has started, and do not wait for its end: `close` does."""
        strays = descendants(self.pid) if self.arm.starts_processes and self._child.code is None else []
        self._child.kill()
        end(strays)

    def close(self) -> None:
        self.kill()
        self._child.close()

    def cpu_seconds(self) -> float:
        """CPU time that the worker has used, and what it has started, whether it still runs; 0 once it has ended."""
        started = 0.0
        if self.arm.starts_processes:
            running = descendants(self.pid)
            started = waited_cpu_seconds(self.pid) + sum(process_cpu_seconds(pid) or 0.0 for pid in running)
        return (process_cpu_seconds(self.pid) or 0.0) + started

    def _ask(self, request: dict[str, Any], patience: float, silence: str = "it hung") -> dict[str, Any]:
        self._send(request)
        return self._receive(patience, silence)

    def _send(self, request: dict[str, Any]) -> None:
        self._child.send(json.dumps(request).encode() + b"\n")

    def _receive(self, patience: float, silence: str = "it hung") -> dict[str, Any]:
        try:
            answer: dict[str, Any] = json.loads(self._child.receive(patience))
        except child.SilentError:
            self.kill()
            raise WorkerError(f"{silence}: no answer within {patience:.0f} s, and it was ended") from None
        except child.EndedError as error:
            raise WorkerError(str(error)) from None
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer


class ProcessCrew:
    """The worker processes of one launch, by the names of their arms."""

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
            self._cpu_seconds[name] = max(self._cpu_seconds.get(name, 0.0), worker.cpu_seconds())
        seen = read_counters(())
        return dataclasses.replace(seen, own_seconds=(seen.own_seconds or 0.0) + sum(self._cpu_seconds.values()))

    def rest(self, seconds: float) -> None:
        time.sleep(seconds)

    def close(self) -> None:
        for worker in self.workers.values():
            worker.kill()  # first all of them, because the system takes a while to tidy up after each
        for worker in self.workers.values():
            worker.close()
        self.workers.clear()


class ProcessSource:
    """Starts fresh worker processes for every launch."""

    def start(self, arms: Sequence[Arm], plan: Plan, launch: int, group: int) -> ProcessCrew:  # noqa: ARG002 -- the interface
        return ProcessCrew(arms, plan)
