"""vecml against the notebook's way of doing the same: ratios, taken interleaved in one run. `python -m benchmarks`."""
