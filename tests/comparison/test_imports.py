"""What a comparison's processes do not import: each of these takes as long as many blocks, in every worker."""

import subprocess
import sys

STARTED_OFTEN = (
    "vecml.comparison.work",
    "vecml.comparison.functions",
    "vecml.comparison.commands",
    "vecml.optimize.steps",
    "vecml.report.comparison",
    "vecml.report.optimize",
    "vecml.report.page",
)


def test_a_comparison_waits_for_no_library_that_its_settings_do_without() -> None:
    program = (
        f"import sys, {', '.join(STARTED_OFTEN)}\n"
        "heavy = {'torch', 'scipy', 'pandas', 'pyarrow', 'sklearn', 'matplotlib', 'mlflow', 'prefect'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"
