"""A comparison as it would be on a machine of its own, for tests of what else is in it."""

from dataclasses import replace

from vecml.comparison.comparison import Comparison


def undisturbed(comparison: Comparison) -> Comparison:
    """Without what others did to the machine meanwhile: how verdicts treat that is tested on made windows."""
    return replace(comparison, measured=replace(comparison.measured, windows=()))
