"""What a run with a class of one's own, or with given weights, logs and says."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.model.own_modules import ConvClassifier
from vecml import keys, record
from vecml.config import make_config
from vecml.model.own_module import model_from
from vecml.report.summary import PipelineResult, network


def test_params_that_do_not_count_are_none() -> None:
    plain = record.config_params(make_config({}))
    assert (plain["architecture"], plain["weights"]) == ("none", "none")
    assert (plain["hidden"], plain["activation"], plain["epochs"]) == ("32", "relu", "5")
    own = record.config_params(make_config({"architecture": "a.b:C"}))
    assert (own["architecture"], own["hidden"], own["activation"], own["epochs"]) == ("a.b:C", "none", "none", "5")
    given = record.config_params(make_config({"weights": "/some/where/w.safetensors", "hidden": 64}))
    assert (given["weights"], given["hidden"], given["activation"]) == ("w.safetensors", "64", "relu")
    assert (given["epochs"], given["batch_size"], given["learning_rate"]) == ("none", "none", "none")
    for params in (plain, own, given):
        assert set(params) == set(keys.CONFIG_PARAMS)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory, result_of: Callable[..., PipelineResult]) -> PipelineResult:
    return result_of(tmp_path_factory.mktemp("table"), ("a", "b"))


def test_the_network_in_words(result: PipelineResult) -> None:
    plain = network(result)
    assert plain == f"{result.training.model.architecture}, {result.config.activation}"
    config = result.config.model_copy(update={"architecture": "a.b:C", "weights": str(Path("x") / "w.safetensors")})
    chain = dataclasses.replace(result, config=config)
    assert network(chain) == f"{plain}, of a.b:C, weights of w.safetensors"
    own = model_from(ConvClassifier(4, 2), 4)
    found = dataclasses.replace(chain, training=dataclasses.replace(result.training, model=own))
    assert network(found) == "examples.own_model:ConvClassifier, 160 multiply-adds a row, weights of w.safetensors"
