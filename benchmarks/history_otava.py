"""Runs in the environment of Apache Otava, which has neither vecml nor its packages: JSON in, JSON out.

`history_otava.py generate COUNT LENGTH` prints the series of `otava-test-data`, COUNT of each kind;
`history_otava.py detect` reads a list of series and prints what Otava finds in each, by setting.
"""

import json
import sys

SETTINGS = {"Otava": {}, "Otava, p < 0.01": {"max_pvalue": 0.01}}  # its defaults, and ten times as ready to tell
NOISE = 3.0  # percent: every generator's value is about 100


def generate(count, length):
    """The generators' series as [{kind, values, places}], each of `length` values."""
    from otava_test_data import generators
    from otava_test_data.generators.advanced import multiple_outliers

    made = []
    for seed in range(count):
        third = length // 3
        named = {
            "step 100 to 108": generators.step_function(length, 100, 108, length // 2, NOISE, seed),
            "step 100 to 120": generators.step_function(length, 100, 120, length // 2, NOISE, seed),
            "three steps, 100 to 130": generators.multiple_changes(length, None, None, NOISE, seed),
            "regression and fix, 20 values": generators.regression_fix(length, 100, 92, None, third, 20, NOISE, seed),
            "regression and fix, 5 values": generators.regression_fix(length, 100, 92, None, third, 5, NOISE, seed),
            "normal noise": generators.noise_normal(length, 100, NOISE, seed),
            "uniform noise": generators.noise_uniform(length, 95, 105, seed),
            "one outlier": generators.outlier(length, 100, 150, None, NOISE, seed),
            "three outliers": multiple_outliers(length, 100, 150, None, 3, NOISE, seed),
            "two bands, 100 and 105": generators.banding(length, 100, 105, NOISE, seed),
            "spread from 2 to 6": generators.variance_change(length, 100, 2, 6, None, seed),
        }
        for kind, series in named.items():
            levels = [point.index for point in series.change_points if _is_of_level(point)]
            made.append({"kind": kind, "values": series.data.tolist(), "places": levels})
    return made


def _is_of_level(point):
    """Whether the level changes; one outlier and another spread are marked as changes, too."""
    return point.change_type in ("step", "regression_start", "regression_end")


def detect(series):
    """For every setting, and each series of values, the first indices of the levels that Otava finds."""
    from otava.analysis import compute_change_points

    found = {}
    for name, options in SETTINGS.items():  # lists: of an array it does not take the windows apart (0.8.0)
        points = [compute_change_points(values, **options)[0] for values in series]
        found[name] = [[int(point.index) for point in those] for those in points]
    return found


if __name__ == "__main__":
    if sys.argv[1] == "generate":
        json.dump(generate(*map(int, sys.argv[2:])), sys.stdout)
    else:
        json.dump(detect(json.load(sys.stdin)), sys.stdout)
