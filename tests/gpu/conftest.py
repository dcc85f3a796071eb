"""The models and the oracle of the engines' tests, for the same contract on a GPU."""

from tests.engines.conftest import make_model, oracle

__all__ = ["make_model", "oracle"]
