"""The models and the oracle that the tests of engines share."""

from tests.made_models import make_model, oracle

__all__ = ["make_model", "oracle"]
