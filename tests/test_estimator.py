"""`vecml.TabularClassifier`: scikit-learn's own checks, and tables as people have them."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import vecml
from vecml.errors import VecmlError
from vecml.estimator import TabularClassifier, in_python
from vecml.warnings import VecmlWarning

# One column decides in several of the tables here, which vecml says by a warning.
pytestmark = pytest.mark.filterwarnings("ignore:VML042")

QUICK = {"epochs": 30, "batch_size": 16, "learning_rate": 0.02, "threads": 1}
EXPECTED_FAILURES = {  # by the check's name, why it cannot pass
    "check_class_weight_classifiers": "it gives class_weight a weight for each class; it is None or 'balanced' here",
}


def animals(n_rows: int = 120) -> tuple[pd.DataFrame, np.ndarray]:
    """Text decides between cat and dog but for the rows of unknown colour, where the weight does."""
    rng = np.random.default_rng(3)
    kind = rng.integers(0, 2, n_rows)
    colour = np.where(kind == 1, "brown", "white").astype(object)
    colour[::5] = None
    frame = pd.DataFrame(
        {
            "colour": colour,
            "weight": np.where(kind == 1, 30.0, 4.0) + rng.normal(0, 1, n_rows),
            "noise": rng.normal(0, 1, n_rows),
        }
    )
    frame.loc[1::7, "weight"] = np.nan
    return frame, np.where(kind == 1, "dog", "cat")


@pytest.mark.filterwarnings("ignore::vecml.warnings.VecmlWarning")
@parametrize_with_checks(
    [TabularClassifier(threads=1)],
    expected_failed_checks=lambda estimator: EXPECTED_FAILURES,
)
def test_scikit_learns_checks(estimator: TabularClassifier, check: Any) -> None:
    check(estimator)


def test_text_and_missing_values_need_no_preparation() -> None:
    frame, label_N = animals()
    fitted = TabularClassifier(**QUICK).fit(frame[:90], label_N[:90])
    assert list(fitted.classes_) == ["cat", "dog"]
    assert fitted.n_features_in_ == 3
    assert list(fitted.feature_names_in_) == ["colour", "weight", "noise"]
    assert fitted.score(frame[90:], label_N[90:]) == 1.0
    probabilities_NC = fitted.predict_proba(frame[90:])
    assert probabilities_NC.shape == (30, 2)
    assert probabilities_NC.sum(axis=1) == pytest.approx(1)
    assert (fitted.classes_[probabilities_NC.argmax(axis=1)] == fitted.predict(frame[90:])).all()
    assert len(fitted.training_.losses) == 30


def test_sources_of_the_same_table_agree() -> None:
    frame, label_N = animals()
    arrow = pa.Table.from_pandas(frame, preserve_index=False)
    from_frame = TabularClassifier(**QUICK).fit(frame, label_N)
    for other in (arrow, polars.from_arrow(arrow), {name: frame[name].tolist() for name in frame}):
        fitted = TabularClassifier(**QUICK).fit(other, label_N)
        assert fitted.classifier_.model.digest == from_frame.classifier_.model.digest
        assert fitted.classifier_.encoding == from_frame.classifier_.encoding
        assert list(fitted.feature_names_in_) == list(frame.columns)
        assert (fitted.predict(frame) == from_frame.predict(other)).all()


def test_an_array_of_objects_may_hold_text() -> None:
    frame, label_N = animals()
    fitted = TabularClassifier(**QUICK).fit(frame.to_numpy(object), label_N)
    assert [column.kind for column in fitted.classifier_.encoding.columns] == ["category", "number", "number"]
    assert not hasattr(fitted, "feature_names_in_")
    assert fitted.score(frame.to_numpy(object), label_N) > 0.95


@pytest.mark.parametrize(
    "names", [("no", "yes"), (False, True), (0.0, 1.0), (7, -3), ("NA", "None"), ("1", "01"), ("", "x")]
)
def test_labels_come_back_as_they_were_given(names: tuple[Any, Any]) -> None:
    x_NF = np.random.default_rng(0).permutation(np.linspace(-1, 1, 40))[:, None]
    label_N = np.where(x_NF[:, 0] < 0, *np.array(names)[:, None])
    fitted = TabularClassifier(**QUICK).fit(x_NF, label_N)
    assert list(fitted.classes_) == sorted(set(label_N.tolist()))
    assert fitted.predict(x_NF).dtype == fitted.classes_.dtype
    assert (fitted.predict(x_NF) == label_N).mean() > 0.9


def test_more_classes_than_numbers_may_have() -> None:
    x_NF = np.random.default_rng(0).normal(size=(360, 2))
    fitted = TabularClassifier(epochs=1, threads=1).fit(x_NF, np.repeat(np.arange(0, 1200, 10), 3))
    assert list(fitted.classes_) == list(range(0, 1200, 10))
    assert fitted.predict_proba(x_NF).shape == (360, 120)


def test_cross_validation_and_search() -> None:
    frame, label_N = animals()
    scores = cross_val_score(TabularClassifier(**QUICK), frame, label_N, cv=3)
    assert scores.min() > 0.9
    search = GridSearchCV(TabularClassifier(**QUICK), {"hidden": [(4,), (16,)]}, cv=2).fit(frame, label_N)
    assert search.best_params_["hidden"] in [(4,), (16,)]
    assert search.best_estimator_.classifier_.model.architecture.hidden == search.best_params_["hidden"]


def test_in_a_pipeline_behind_other_transformers() -> None:
    frame, label_N = animals()
    one_hot = OneHotEncoder(sparse_output=False)
    prepared = make_column_transformer((one_hot, ["colour"]), (StandardScaler(), ["weight"]))
    fitted = make_pipeline(prepared, TabularClassifier(**QUICK)).fit(frame, label_N)
    assert fitted.score(frame, label_N) > 0.95
    assert fitted[-1].n_features_in_ == 4


def test_the_same_seed_gives_the_same_network() -> None:
    frame, label_N = animals()
    one = TabularClassifier(**QUICK).fit(frame, label_N)
    assert clone(one).fit(frame, label_N).classifier_.model.digest == one.classifier_.model.digest
    other = TabularClassifier(**QUICK, random_state=1).fit(frame, label_N)
    assert other.classifier_.model.digest != one.classifier_.model.digest
    drawn = [
        TabularClassifier(**QUICK, random_state=np.random.RandomState(5)).fit(frame, label_N).classifier_.model.digest
        for _ in range(2)
    ]
    assert drawn[0] == drawn[1]


def test_engines_give_the_same_labels() -> None:
    frame, label_N = animals()
    fitted = TabularClassifier(**QUICK).fit(frame, label_N)
    assert (clone(fitted).set_params(engine="numpy").fit(frame, label_N).predict(frame) == fitted.predict(frame)).all()
    fitted.set_params(engine="row_loop")
    assert (fitted.predict(frame[:10]) == fitted.predict(frame)[:10]).all()


def test_the_network_goes_on_in_vecml() -> None:
    frame, label_N = animals()
    fitted = TabularClassifier(**QUICK).fit(frame, label_N)
    assert (vecml.predict(fitted.classifier_, frame, engine="numpy", threads=1) == fitted.predict(frame)).all()


def test_a_useless_column_is_left_out_with_a_warning() -> None:
    frame, label_N = animals()
    with pytest.warns(VecmlWarning, match="VML001.*'same'"):
        fitted = TabularClassifier(**QUICK).fit(frame.assign(same=1), label_N)
    assert fitted.n_features_in_ == 4
    assert [column.name for column in fitted.classifier_.encoding.columns] == ["colour", "weight", "noise"]
    with pytest.raises(ValueError, match="'same'") as raised:
        TabularClassifier(**QUICK, strict=True).fit(frame.assign(same=1), label_N)
    assert isinstance(raised.value, VecmlError)
    call = raised.value.hint.removeprefix("say it: ")
    assert call.startswith("TabularClassifier(drop=('same',), strict=True, epochs=30")
    dropped = eval(call).fit(frame.assign(same=1), label_N)  # noqa: S307 -- the hint is a call that works
    assert dropped.classifier_.model.digest == fitted.classifier_.model.digest


@pytest.mark.parametrize(
    ("hint", "said"),
    [
        (None, None),
        ("mend it", "mend it"),
        (
            "leave it out: vecml run --data X --target y --drop 'a,\"b, c\"' --seed 3",
            "leave it out: TabularClassifier(drop=('a', 'b, c'))",
        ),
        (
            "say: vecml run --data=X --target=y --hidden 8,4 --strict --activation tanh",
            "say: TabularClassifier(hidden=(8, 4), strict=True, activation='tanh')",
        ),
        ("drop them: vecml run --data X --min-class-rows 2", "drop them"),
        ("vecml run --data X --bins 2", None),
    ],
)
def test_hints_are_calls(hint: str | None, said: str | None) -> None:
    assert in_python(hint) == said


def test_training_without_epochs_stops_by_itself() -> None:
    frame, label_N = animals()
    fitted = TabularClassifier(threads=1).fit(frame, label_N)
    assert fitted.training_.course is not None
    assert fitted.training_.course.reason in ("settled", "steps")  # the bound of the rule, for the larger decay
    assert fitted.score(frame, label_N) > 0.95
    with pytest.warns(VecmlWarning, match="VML021"):
        short = TabularClassifier(threads=1, max_steps=20).fit(frame, label_N)
    assert short.training_.course is not None
    assert (short.training_.course.steps, short.training_.course.reason) == (20, "steps")


def test_rules_for_columns_are_those_of_a_file() -> None:
    frame, label_N = animals()
    frame["code"] = np.resize(["1", "2", "3", "?"], len(frame))
    plain = TabularClassifier(**QUICK, missing=("?",)).fit(frame, label_N)
    forced = TabularClassifier(**QUICK, categorical=("code",), missing=("?",)).fit(frame, label_N)
    assert [column.kind for column in plain.classifier_.encoding.columns][-1] == "number"
    assert [column.kind for column in forced.classifier_.encoding.columns][-1] == "category"
    assert (forced.predict(frame) == label_N).mean() > 0.95


@pytest.mark.filterwarnings("ignore:VML023")
def test_balanced_classes_find_the_rare_one() -> None:
    rng = np.random.default_rng(1)
    label_N = (rng.random(400) < 0.08).astype(int)
    x_NF = rng.normal(size=(400, 2)) + label_N[:, None]
    recall = [
        (TabularClassifier(**QUICK, class_weight=weight).fit(x_NF, label_N).predict(x_NF)[label_N == 1] == 1).mean()
        for weight in (None, "balanced")
    ]
    assert recall[0] < 0.6 < recall[1]


def test_unseen_categories_are_counted() -> None:
    frame, label_N = animals()
    fitted = TabularClassifier(**QUICK).fit(frame, label_N)
    new = frame[:6].assign(colour=["pink", "white", "brown", "red", None, "white"])
    with pytest.warns(VecmlWarning, match="VML003 in the data, 2 values of a category"):
        assert len(fitted.predict(new)) == 6


def test_what_cannot_be_is_a_value_error_and_vecmls_own() -> None:
    frame, label_N = animals(30)
    with pytest.raises(ValueError, match="--epochs 0") as raised:
        TabularClassifier(epochs=0).fit(frame, label_N)
    assert isinstance(raised.value, VecmlError)
    with pytest.raises(ValueError, match="one class"):
        TabularClassifier().fit(frame, ["a"] * 30)
    with pytest.raises(ValueError, match="infinite"):
        TabularClassifier().fit(frame.assign(weight=np.inf), label_N)
    with pytest.raises(ValueError, match="engine"):
        TabularClassifier(**QUICK, engine="abacus").fit(frame, label_N)
    with pytest.raises(NotFittedError):
        TabularClassifier().predict(frame)


def test_a_name_of_the_labels_column_does_not_clash() -> None:
    frame, label_N = animals()
    renamed = frame.rename(columns={"colour": "label", "noise": "label_"})
    assert TabularClassifier(**QUICK).fit(renamed, label_N).score(renamed, label_N) > 0.95


def test_nothing_is_tracked_and_scikit_learn_waits_until_it_is_wanted() -> None:
    code = """
import sys, vecml
assert "sklearn" not in sys.modules
import numpy as np
x_NF = np.random.default_rng(0).normal(size=(40, 2))
vecml.TabularClassifier(epochs=1, threads=1).fit(x_NF, np.arange(40) % 2)
assert not {"mlflow", "prefect"} & set(sys.modules), "tracked"
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_iris_is_learned() -> None:
    bunch = load_iris(as_frame=True)
    scores = cross_val_score(TabularClassifier(**QUICK), bunch.data, bunch.target, cv=3)
    assert scores.mean() > 0.93


def test_the_example_of_the_documentation(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[1] / "docs" / "python.md").read_text(encoding="utf-8")
    code = page.split('```python title="estimator.py"\n')[1].split("```")[0]
    exec(compile(code, "estimator.py", "exec"), {})  # noqa: S102 -- our own page
    assert capsys.readouterr().out == "True\n['yes']\n"


def test_a_row_has_one_label_whichever_rows_stand_beside_it() -> None:
    codes = np.array(["01", "02", "03", "A1", "B2"] * 40, dtype=object)
    y = np.isin(codes, ["01", "A1"]).astype(int)
    X = np.column_stack([codes, np.arange(200.0).astype(object)])
    X[:, 1] = np.random.default_rng(0).standard_normal(200)
    fitted = TabularClassifier(epochs=30).fit(X, y)
    whole = fitted.predict(X)
    assert (whole == y).all()
    digits = np.char.isdigit(codes.astype(str))
    assert (fitted.predict(X[digits]) == whole[digits]).all()
    assert [fitted.predict(X[i : i + 1])[0] for i in range(10)] == whole[:10].tolist()
