"""Every way to run the inference, one file each, behind the interface in `base`.

ONNX Runtime reads from the environment, when it is imported, whether it may send telemetry. It may not.
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
