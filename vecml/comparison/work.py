"""An engine as an arm: a worker process opens it, times its calls and checks the labels that the timed calls gave.

The input is a file that all workers map into their memory. The mapping is private (copy on write), so that a worker can
change a row, to see whether the engine notices, and no other worker sees the change.
"""

import sys
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecml.comparison.files import ERRORS, load_model
from vecml.comparison.reference import reference_logits, tolerance
from vecml.config import Precision, Setting
from vecml.engines.base import Engine, Loaded
from vecml.engines.registry import get_engine
from vecml.engines.row_loop import affordable_rows
from vecml.hardware import ROOT, read_text
from vecml.inference.infer import REFERENCE
from vecml.inference.precision import used_precision
from vecml.measure.work import Work
from vecml.model.evaluate import label_of
from vecml.model.network import AnyModel

LOGIT_ROWS = 4_096  # rows whose logits are compared, spread evenly
FLIPS_AT_ONCE = 20_000
ROW_LOOP_SHARE = 6  # of what a third of a second affords
REQUESTS = 1_024  # different ones, taken in turn


class EngineWork(Work):
    """One setting's work; see `vecml.measure.work.Work`.

    Args:
        payload: `folder` of the comparison's files, `setting` (Setting's fields), `probe` (two row numbers, or None).
        engine: used instead of the registry's; for tests.
    """

    def __init__(self, payload: Mapping[str, Any], engine: Engine | None = None) -> None:
        self._folder = Path(payload["folder"])
        self._setting = Setting(**payload["setting"])
        self._probe: list[int] | None = payload.get("probe")
        self._engine = engine or get_engine(self._setting.engine)
        self._registered = engine is None
        self._model = load_model(self._folder)
        errors = self._folder / f"{ERRORS}.npy"
        self._error_C = np.load(errors) if errors.exists() else None
        # Asked for here, so that the library's import is not part of the load time.
        self._unavailable = self._engine.unavailable(self._model, self._setting)
        self._x = np.asarray(np.load(self._folder / f"{self._setting.layout}.npy", mmap_mode="c"))
        self._columns = self._setting.layout == "columns"
        self._take(rows_of_a_call(self._model, self._setting, self._x.shape[1 if self._columns else 0]))
        self._loaded: Loaded | None = None
        self._requests: list[tuple[NDArray[Any], NDArray[np.int64]]] = []
        self._next = self._asked = 0  # requests: the next one, and how many there were at most
        self.each = self._setting.request_rows is not None
        if self._setting.request_rows is not None:
            self._cut_requests(self._setting.request_rows)

    def open(self) -> None:
        if self._unavailable is not None:
            raise RuntimeError(f"engine {self._setting.engine} cannot run here: {self._unavailable}")
        self._loaded = self._engine.load(self._model, self._setting)

    def call(self) -> None:
        loaded = self._loaded
        if loaded is None:
            raise RuntimeError("the engine was not opened")
        if self._requests:
            x, label_N = self._requests[self._next]
            self._next = (self._next + 1) % len(self._requests)
            self._asked = max(self._asked, self._next or len(self._requests))
            loaded.labels(x, label_N)
        else:
            loaded.labels(self._x, self._label_N)
        loaded.synchronize()

    def answer(self) -> int:
        """Checksum of all labels; 0 where requests fill them bit by bit."""
        return 0 if self._requests else zlib.crc32(self._label_N.data)

    def finish(self) -> dict[str, Any]:
        """Score the labels of the last timed calls, compare logits, and look for cached answers and the precision."""
        facts = {**self._score(), **self._compare_logits(), "pools": pools(), "os_threads": os_threads()}
        if "torch" in sys.modules:
            facts["torch_threads"] = sys.modules["torch"].get_num_threads()
        facts["cached"] = self._answers_from_memory()
        facts["precision_used"] = used_precision(self._setting) if self._registered else self._setting.precision
        return facts

    def close(self) -> None:
        if self._loaded is not None:
            self._loaded.close()

    def _take(self, rows: int) -> None:
        """Work only on the first `rows` rows, so that a call does that share of the whole work."""
        whole = self._x.shape[1 if self._columns else 0]
        self._n_rows = rows
        self._table = self._x
        self._x = self._x[:, :rows] if self._columns else self._x[:rows]
        self._label_N = np.full(rows, -1, np.int64)
        self.share = rows / whole if whole else 1.0

    def _cut_requests(self, rows: int) -> None:
        """Cut the input into requests of so many rows, each an array of its own as a request would be."""
        count = max(1, min(REQUESTS, self._n_rows // rows))
        for index in range(count):
            part = slice(index * rows, min((index + 1) * rows, self._n_rows))
            x = self._x[:, part] if self._columns else self._x[part]
            self._requests.append((np.ascontiguousarray(x), self._label_N[part]))

    def _score(self) -> dict[str, Any]:
        """Compare the labels of the timed calls with the reference's, and with the true labels where they are known."""
        expected_N = np.load(self._folder / "reference.npy", mmap_mode="r")
        scored_N = np.arange(self._rows_asked())
        label_N = self._label_N[scored_N]
        flip_N = scored_N[label_N != expected_N[scored_N]]
        parts = range(0, len(flip_N), FLIPS_AT_ONCE)
        found: dict[str, Any] = {
            "rows": len(scored_N),
            "flips": len(flip_N),
            "wrong": sum(self._outside_the_band(flip_N[start : start + FLIPS_AT_ONCE]) for start in parts),
            "only_label": int(label_N[0]) if len(label_N) and (label_N == label_N[0]).all() else None,
            "expected_labels": len(np.unique(expected_N)),
        }
        truth = self._folder / "truth.npy"
        if truth.exists():
            true_N = np.load(truth, mmap_mode="r")
            found["right"] = int((label_N == true_N[scored_N]).sum())
        return found

    def _rows_asked(self) -> int:
        """Number of rows that the timed calls had to label; labels that a request did not write count as wrong."""
        if not self._requests:
            return int(self._n_rows)
        rows: int = sum(len(label_N) for _, label_N in self._requests[: self._asked])
        return rows

    def _outside_the_band(self, row_N: NDArray[np.int64]) -> int:
        """Count the rows in row_N (int64), whose labels differ from the reference's, that rounding does not explain."""
        if not len(row_N):
            return 0
        n_classes = self._model.architecture.n_classes
        given_N = self._label_N[row_N]
        valid_N = (given_N >= 0) & (given_N < n_classes)
        wrong = int((~valid_N).sum())
        found = reference_logits(self._model, self._features(row_N[valid_N]), self._error_C)
        given_N = given_N[valid_N]
        index_N = np.arange(len(given_N))
        top_N = label_of(found.logits_NC)
        with np.errstate(invalid="ignore"):
            margin_N = found.logits_NC[index_N, top_N] - found.logits_NC[index_N, given_N]
            band_N = self._tolerance() * (found.scale_NC[index_N, top_N] + found.scale_NC[index_N, given_N])
            return wrong + int(np.count_nonzero(~(margin_N <= band_N)))

    def _compare_logits(self) -> dict[str, Any]:
        """The largest error of a logit on some rows, as a multiple of the error that the precision allows."""
        if self._loaded is None or not self._n_rows:
            return {"logit_error": 0.0}
        row_N = np.unique(np.linspace(0, self._n_rows - 1, LOGIT_ROWS).astype(np.int64))
        x_FN = self._features(row_N)
        given_NC = self._loaded.logits(x_FN if self._columns else np.ascontiguousarray(x_FN.T))
        expected = reference_logits(self._model, x_FN, self._error_C)
        with np.errstate(invalid="ignore", divide="ignore"):
            off_NC = np.abs(given_NC.astype(np.float64) - expected.logits_NC) / (self._tolerance() * expected.scale_NC)
        same_NC = (given_NC == expected.logits_NC) | (np.isnan(given_NC) & np.isnan(expected.logits_NC))
        off_NC = np.where(same_NC, 0.0, np.where(np.isnan(off_NC), np.inf, off_NC))
        return {"logit_error": float(min(off_NC.max(initial=0.0), 1e300))}

    def _answers_from_memory(self) -> bool | None:
        """Whether a row keeps its label when it becomes another row; None where no other label is expected."""
        if self._probe is None or self._loaded is None:
            return None
        first = self._probe[0]
        x, label_N = self._x, self._label_N
        if self._requests:
            first, (x, label_N) = 0, self._requests[0]
        elif first >= self._n_rows:
            first = 0
        before = int(label_N[first])
        choices_FN = self._features(np.array(self._probe))
        expected_N = label_of(reference_logits(self._model, choices_FN).logits_NC)
        others = np.flatnonzero(expected_N != before)
        if not len(others):
            return None
        source, expected = choices_FN[:, others[0]], int(expected_N[others[0]])
        if self._columns:
            x[:, first] = source
        else:
            x[first] = source
        self._loaded.labels(x, label_N)
        self._loaded.synchronize()
        return int(label_N[first]) == before != expected

    def _features(self, row_N: NDArray[np.int64]) -> NDArray[np.float32]:
        """These rows (int64) of the whole table as an array (F, n), whatever the layout."""
        part = self._table[:, row_N] if self._columns else self._table[row_N].T
        return np.ascontiguousarray(part)

    def _tolerance(self) -> float:
        precision: Precision = self._setting.precision
        return tolerance(self._model.architecture, precision)


def rows_of_a_call(model: AnyModel, setting: Setting, n_rows: int) -> int:
    """Number of rows that a call labels: all `n_rows`; for the row loop as many as take about 50 ms, not minutes."""
    chain = model.chain
    if setting.engine != REFERENCE.engine or setting.request_rows is not None or chain is None:
        return n_rows
    return min(n_rows, max(1, affordable_rows(chain.architecture) // ROW_LOOP_SHARE))


def pools() -> list[dict[str, Any]]:
    """The process's native thread pools: API (blas, openmp), library, threads, and the kernels that BLAS has chosen."""
    from threadpoolctl import threadpool_info  # type: ignore[import-untyped]  # noqa: PLC0415 -- in workers only

    return [
        {
            "api": pool["user_api"],
            "library": pool["internal_api"],
            "threads": pool["num_threads"],
            "architecture": pool.get("architecture"),
        }
        for pool in threadpool_info()
    ]


def os_threads() -> int | None:
    """Threads that this process has, as the kernel counts them; None where it is unknown."""
    for line in (read_text(ROOT / "proc/self/status") or "").splitlines():
        if line.startswith("Threads:"):
            return int(line.split()[1])
    return None
