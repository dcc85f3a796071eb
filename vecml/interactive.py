"""Comparisons from Python and Jupyter: `vecml.compare(model, x)` and `vecml.compare_functions({"a": f, "b": g}, x)`.

>>> import vecml
>>> vecml.compare(vecml.load("model"), "new.csv", engines=("numpy", "torch"))     # shows itself
>>> vecml.compare_functions({"loop": slow, "vectorised": fast}, x, budget="30s")
"""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from vecml.comparison import functions as functions_module
from vecml.comparison import session
from vecml.comparison.auto import choose_engine
from vecml.comparison.compare import Job
from vecml.comparison.config import ComparisonConfig
from vecml.config import Setting, make_config
from vecml.errors import SettingError
from vecml.inference.features import features_of
from vecml.inference.predict import bare_model
from vecml.inference.predict import predict as predict_by
from vecml.inference.setting import candidates, resolve_setting
from vecml.model.network import AnyModel
from vecml.model.store import Classifier
from vecml.report.comparison import ComparisonResult, shown

if TYPE_CHECKING:
    from torch import nn

    from vecml.batch.label import Labelled


def compare(  # noqa: PLR0913 -- a setting has that many sides
    model: "Classifier | AnyModel | nn.Module",
    x: str | Path | Any,
    *,
    engines: Sequence[str] = ("numpy", "torch"),
    threads: Sequence[int] | int | None = None,
    precision: Sequence[str] | str = "float32",
    layout: Sequence[str] | str = "columns",
    isa: Sequence[str] | str = "native",
    block_rows: Sequence[int | None] | int | None = None,
    device: Sequence[str] | str = "cpu",
    request_rows: Sequence[int | None] | int | None = None,
    baseline: str | None = None,
    budget: str = "60s",
) -> ComparisonResult:
    """Compare ways of running a model over `x` on this machine; the result shows itself.

    Args:
        model: from `vecml.load`; then `x` is raw, as `vecml.predict` takes it. Or a bare model, or a torch.nn.Module,
            which is compared as it answers in evaluation mode. Unless that is a chain of linear layers, its class is
            made anew in worker processes, as Class(n_features, n_classes): it is at the top level of a module or of
            the running script, and in a script this is called under `if __name__ == "__main__":`.
        x: a file, a DataFrame, an Arrow table or a dict of arrays; for a bare model or a module an array (rows,
            features), float32 or float64.
        engines: one engine, several, or `all` that can run here; every combination of these and of the values below is
            a setting.
        threads: CPU threads, one number or several; None is every CPU.
        precision: what the inference computes in, one or several.
        layout: how the features lie in memory, `columns`, `rows` or both.
        isa: instruction sets of an engine that can choose, one or several.
        block_rows: rows that are worked on at a time, one number or several; None suits the cache.
        device: `cpu`, `cuda` or `mps`, one or several.
        request_rows: rows in each call, one number or several; None is all rows in one call.
        baseline: a setting's or an engine's name; None: the first that can run.
        budget: wall time, `60s` or `5m`, which begins with this call; `auto` until the intervals are narrow; `quick`
            for figures without verdicts.

    Returns:
        The comparison, without a setting that cannot run here (warning VML013). It is not tracked in MLflow.

    Raises:
        DataError: `x` does not fit the model.
        SettingError: a setting cannot be, the budget is too short, or the module is no classifier or one that worker
            processes cannot create again.
    """
    began = time.perf_counter()
    given = {
        "engines": engines,
        "threads": threads,
        "precision": precision,
        "layout": layout,
        "isa": isa,
        "block_rows": block_rows,
        "device": device,
        "request_rows": request_rows,
        "baseline": baseline,
        "budget": budget,
    }
    config = ComparisonConfig.checked(_without_none(given))
    return shown(session.compare(config, session.Untracked(), job=_job(model, x), began=began).comparison)


def _job(model: "Classifier | AnyModel | nn.Module", x: Any) -> Job:
    if isinstance(model, Classifier):
        from vecml.data.raw import features_of_columns  # noqa: PLC0415 -- imports pyarrow, which few comparisons need

        return Job(model.model, features_of_columns(x, model.encoding)[0], data_source="python")
    x_FN = features_of(x)
    network = bare_model(model, len(x_FN))
    network.check_rebuildable()
    return Job(network, x_FN, data_source="python")


def _without_none(given: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is None; in a list, None becomes 0 where ComparisonConfig understands that as None."""
    for name in ("block_rows", "request_rows"):
        if isinstance(given[name], list | tuple):
            given[name] = [0 if one is None else one for one in given[name]]
    return {name: value for name, value in given.items() if value is not None}


@overload
def predict(
    classifier: "Classifier | AnyModel | nn.Module",
    data: str | Path | Any,
    *,
    engine: str = ...,
    threads: int | None = ...,
    budget: str = ...,
    out: None = ...,
    keep: Sequence[str] = ...,
    probabilities: bool = ...,
    rows: bool = ...,
    resume: bool = ...,
    cluster: str | None = ...,
) -> NDArray[np.str_] | NDArray[np.int64]: ...


@overload
def predict(
    classifier: "Classifier | AnyModel | nn.Module",
    data: str | Path | Any,
    *,
    engine: str = ...,
    threads: int | None = ...,
    budget: str = ...,
    out: str | Path,
    keep: Sequence[str] = ...,
    probabilities: bool = ...,
    rows: bool = ...,
    resume: bool = ...,
    cluster: str | None = ...,
) -> "Labelled": ...


def predict(  # noqa: PLR0913 -- data, way and output have that many sides
    classifier: "Classifier | AnyModel | nn.Module",
    data: str | Path | Any,
    *,
    engine: str = "torch",
    threads: int | None = None,
    budget: str = "90s",
    out: str | Path | None = None,
    keep: Sequence[str] = (),
    probabilities: bool = False,
    rows: bool = False,
    resume: bool = True,
    cluster: str | None = None,
) -> "NDArray[np.str_] | NDArray[np.int64] | Labelled":
    """Label every row of `data`, in memory, or into the folder `out`.

    Args:
        classifier: from `vecml.load`. Or a bare model or a torch.nn.Module, which is copied and run in evaluation mode;
            then `data` is an array (N, F), float32 or float64, of what that takes.
        data: a CSV, Parquet, Feather, .npy or .npz file, a pandas DataFrame, an Arrow table, or a dict of arrays (N,)
            by column name. It needs the columns that the classifier was trained on; others are left alone. With `out`
            also a folder, a pattern, an address such as `s3://bucket/folder`, or a list of these.
        engine: which library runs it; `auto` is the one that is shown to be the fastest here for this architecture and
            about so many rows: the first time it is found by a comparison, in worker processes (in a script, call this
            under `if __name__ == "__main__":`), and then it is known.
        threads: CPU threads; None takes every CPU that this process may use.
        budget: wall time of that comparison.
        out: path or address of a folder of parts, which goes on where it was interrupted; None: nothing is written.
        keep, probabilities, rows: the parts' columns: some of the data's, each class's probability, a row's number.
        resume: whether parts that are there already are taken over.
        cluster: who labels the parts: `auto`, `local:N` or `ray://HOST:PORT`; None: this process.

    Returns:
        The labels' names, a text array (N,); of a bare model or a module the classes' indices, int64 (N,). With `out`
        the summary of the folder.

    Raises:
        DataError: a column is missing or of another kind, an array or a file does not fit, or `out` is another plan's.
        SettingError: the engine cannot run here, the module is no classifier, or `out` or `cluster` cannot be.
        ServerError: the cluster cannot be reached, or has no node left.

    A category that training has not seen becomes zeros; the warning VML003 says how many there are.
    """
    if out is not None:
        asked: dict[str, Any] = {"keep": tuple(keep), "probabilities": probabilities, "rows": rows, "resume": resume}
        if cluster is not None:
            from vecml.batch.cluster import Wish  # noqa: PLC0415 -- pyarrow's file systems

            asked["cluster"] = Wish(cluster)
        return _label_folder(classifier, data, str(out), engine, threads, asked)
    if keep or probabilities or rows or cluster is not None:
        what = "cluster is for" if cluster is not None else "keep, probabilities and rows are columns of"
        raise SettingError(f"{what} a folder of parts", 'name one: out="labels"')
    if engine != "auto":
        return predict_by(classifier, data, engine=engine, threads=threads)
    return _predict_by_fastest(classifier, data, threads, budget)


def _predict_by_fastest(
    classifier: "Classifier | AnyModel | nn.Module", data: Any, threads: int | None, budget: str
) -> NDArray[np.str_] | NDArray[np.int64]:
    config = make_config({"engine": "auto", "threads": threads, "device": "cpu", "budget": budget})

    def choose_setting(model: AnyModel, x_FN: NDArray[np.float32]) -> Setting:
        if not x_FN.shape[1]:
            return candidates(config)[0]
        model.check_rebuildable()
        return choose_engine(model, x_FN, candidates(config), budget).setting

    return predict_by(classifier, data, choose=choose_setting)


def _label_folder(
    classifier: object, data: Any, out: str, engine: str, threads: int | None, asked: dict[str, Any]
) -> "Labelled":
    """Label files into a folder of parts; `asked` are fields of `Ask`."""
    from vecml.batch.label import Ask, is_folder_of_parts, label_files  # noqa: PLC0415 -- pyarrow's file systems

    if not isinstance(classifier, Classifier):
        raise SettingError(
            "out: files are labelled by a classifier, which knows their columns", "take one from vecml.load"
        )
    if engine == "auto":
        raise SettingError(
            "engine='auto' with out: it would have to be compared first", "name an engine: vecml.compare"
        )
    if not is_folder_of_parts(out):
        raise SettingError(f"out {out}: it is no folder", f"name one: {out.rsplit('.', 1)[0]}")
    setting = resolve_setting(make_config({"engine": engine, "threads": threads, "device": "cpu"}))
    return label_files(classifier, data, setting, out, Ask(**asked))


def compare_functions(
    functions: Mapping[str, Callable[..., Any]],
    x: Any = None,
    *,
    inputs: Callable[[], Any] | None = None,
    budget: str = "60s",
    baseline: str | None = None,
) -> ComparisonResult:
    """Compare `functions` over the same `x` (an array of any shape and dtype, or what JSON holds).

    In place of `x`, `inputs` is a function that makes the arguments in each worker: a tuple holds them by position, a
    dict by name; anything else is the only argument.

    Each is defined at the top level of a module or of the running script: worker processes find it there again. In a
    script, call this under `if __name__ == "__main__":`. `vecml.comparison.functions.compare_functions` says what
    `budget` and `baseline` mean.
    """
    return shown(functions_module.compare_functions(functions, x, inputs=inputs, budget=budget, baseline=baseline))
