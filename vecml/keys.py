"""The name of every key that vecml writes to MLflow: params, metrics and tags, and the text that a param is written as.

docs/keys.md lists the same keys for people, and a test compares the two. `vecml.record` says what is logged under them.
"""

SETTING_PARAMS = (
    "engine",
    "device",
    "device_index",
    "precision",
    "layout",
    "isa",
    "threads",
    "block_rows",
    "request_rows",
    "scope",
)
CONFIG_PARAMS = (
    "test_fraction",
    "sample",
    "seed",
    "hidden",
    "activation",
    "architecture",
    "weights",
    "epochs",
    "batch_size",
    "learning_rate",
    "weight_decay",
    "class_weight",
    "tune",
    "replicas",
)
RECIPE_PARAMS = ("hidden", "batch_size", "learning_rate", "weight_decay")  # of `CONFIG_PARAMS`: a table may decide
DATA_PARAMS = ("data_source", "n_rows", "n_features", "n_classes")
STAGES = ("generate", "split", "train", "load_engine", "infer", "evaluate")
TIME_METRICS = tuple(f"time/{stage}_s" for stage in STAGES)
TEST_METRICS = (
    "test/accuracy",
    "test/accuracy_low",
    "test/accuracy_high",
    "test/majority_accuracy",
    "test/macro_f1",
    "test/log_loss",
    "test/roc_auc",
    "test/flips",
    "test/reference_rows",
    "test/unseen_categories",
    "test/seen_rows",
)
REPLICA_METRICS = ("test/replicas_accuracy_mean", "test/replicas_accuracy_low", "test/replicas_accuracy_high")
UNBALANCED_METRICS = ("test/balanced_accuracy", "test/average_precision")
SIMPLE_METRICS = (
    "test/logistic_accuracy",
    "test/logistic_p_value",
    "test/boosting_accuracy",
    "test/boosting_p_value",
    "time/simple_models_s",
)
INFER_METRICS = ("infer/rows_per_s", "infer/fraction_of_limit", "infer/peak_rss_mb", "infer/foreign_cpus")
LOSS_METRIC = "train/loss"
HELD_OUT_METRIC = "train/held_out_loss"
TRIED_METRIC = "tune/held_out_loss"
COURSE_METRICS = ("train/steps", "train/best_step", "train/epochs", "train/held_out_rows")

KIND = "vecml.kind"
PROCESS = "vecml.process"
ERROR = "vecml.error"
CHOICE = "vecml.choice"
STOPPED = "vecml.stopped"
IMPORTED_FROM = "vecml.imported_from"
IMPORT_DIGEST = "vecml.import_digest"
IMPORTING = "vecml.importing"  # there until an import is complete: `yes`, then `COMPLETE` while its runs are ended
IMPORT_END = "vecml.import_end"
COMPLETE = "complete"
IMPORT_TAGS = (IMPORTED_FROM, IMPORT_DIGEST, IMPORTING, IMPORT_END)
DEVICE_NAME = "vecml.device_name"
FLOW_RUN = "prefect.flow_run_id"
START_TAGS = (
    KIND,
    PROCESS,
    "vecml.version",
    "vecml.machine_key",
    "vecml.software_key",
    "vecml.environment_key",
    DEVICE_NAME,
    FLOW_RUN,
    "vecml.git_commit",
)
DIGEST_TAGS = ("vecml.data_digest", "vecml.architecture_digest", "vecml.model_digest")
END_TAGS = ("vecml.launches", "vecml.precision_used", *DIGEST_TAGS)

PARAMS = (*SETTING_PARAMS, *DATA_PARAMS, *CONFIG_PARAMS)
SOMETIMES = {  # of the metrics: what the notebook's job has none of
    HELD_OUT_METRIC,
    TRIED_METRIC,
    *COURSE_METRICS,
    *REPLICA_METRICS,
    *UNBALANCED_METRICS,
    *SIMPLE_METRICS,
}
METRICS = (*TIME_METRICS, LOSS_METRIC, *TEST_METRICS, *INFER_METRICS, *sorted(SOMETIMES))
TAGS = (*START_TAGS, *END_TAGS, CHOICE, STOPPED, ERROR)

# A comparison is a parent run, and a child run for each setting.
PARENT_PARAMS = (*DATA_PARAMS, "budget", "baseline", "settings")
PARENT_METRICS = ("compare/valid_settings", "compare/best_rows_per_s", "compare/best_ratio")
PLACE_TAGS = ("vecml.host", "vecml.libraries")
PARENT_END_TAGS = ("vecml.launches", *PLACE_TAGS, *DIGEST_TAGS)
PARENT_TAGS = (*START_TAGS, *PARENT_END_TAGS, ERROR)
CHILD_PARAMS = SETTING_PARAMS
CHILD_METRICS = (
    "infer/rows_per_s",
    "infer/rows_per_s_low",
    "infer/rows_per_s_high",
    "infer/ratio",
    "infer/ratio_low",
    "infer/ratio_high",
    "infer/load_s",
    "infer/peak_rss_mb",
    "infer/fraction_of_limit",
    "infer/break_even_rows",
    "infer/p50_s",
    "canary/seconds",
    "test/accuracy",
    "test/flips",
)
CALL_PARAMS = ("command",)  # of a command; a function has none
CALL_METRICS = (
    "call/seconds",
    "call/seconds_low",
    "call/seconds_high",
    "call/ratio",
    "call/ratio_low",
    "call/ratio_high",
    "call/user_s",
    "call/system_s",
    "call/peak_rss_mb",
    "canary/seconds",
)
CHILD_END_TAGS = ("vecml.verdict", "vecml.reason", "vecml.baseline", "vecml.tied", *PLACE_TAGS, *END_TAGS)
CHILD_TAGS = (*START_TAGS, *CHILD_END_TAGS, ERROR)

# A ladder, a lab and an optimisation are one run each. `<rung>` and `<experiment>` stand for a name.
LADDER_PARAMS = (*DATA_PARAMS, "widths", "rungs")
BEST_RUNG_METRICS = ("ladder/gain", "ladder/rows_per_s", "ladder/fraction_of_limit", "ladder/flips")
RUNG_METRICS = (
    "ladder/<rung>/rows_per_s",
    "ladder/<rung>/ratio",
    "ladder/<rung>/ratio_low",
    "ladder/<rung>/ratio_high",
    "ladder/<rung>/gain",
    "ladder/<rung>/flips",
    "ladder/<rung>/memory_bytes",
    "ladder/<rung>/fraction_of_limit",
)
LADDER_METRICS = (*BEST_RUNG_METRICS, *RUNG_METRICS)
LADDER_END_TAGS = ("vecml.launches", "vecml.model_digest", "vecml.best", "vecml.stopped_paying")
LADDER_TAGS = (*START_TAGS, *LADDER_END_TAGS, ERROR)
LAB_PARAMS = ("experiments", "quick")
LAB_METRICS = (
    "lab/<experiment>/best_ratio",
    "lab/<experiment>/cells",
    "lab/<experiment>/faster",
    "lab/<experiment>/invalid",
)
LAB_TAGS = (*START_TAGS, ERROR)
OPTIMIZE_PARAMS = ("target", "inputs", "candidates", "rtol", "budget", "limit", "at_errors")
OPTIMIZE_METRICS = (
    "optimize/call_s",
    "optimize/loop_share",
    "optimize/bound",
    "optimize/peak_rss_mb",
    "optimize/tried",
    "optimize/right",
    "optimize/ratio",
    "optimize/ratio_low",
    "optimize/ratio_high",
    "optimize/best_call_s",
    "optimize/break_even_calls",
    "optimize/best_peak_rss_mb",
)
OPTIMIZE_END_TAGS = ("vecml.winner", "vecml.verdict", "vecml.launches")
OPTIMIZE_TAGS = (*START_TAGS, *OPTIMIZE_END_TAGS, ERROR)
# A fitted `vecml.TabularClassifier`, where its user asks for a run; the params are its own, and what it was tried on.
FIT_PARAMS = (
    *("n_rows", "n_features", "n_classes"),
    *("hidden", "activation", "epochs", "batch_size", "learning_rate", "weight_decay", "max_steps", "max_seconds"),
    *("class_weight", "tune", "drop", "categorical", "missing", "day_first", "max_categories", "strict"),
    *("engine", "threads", "random_state"),
)
FIT_METRICS = (LOSS_METRIC, "test/accuracy", "test/accuracy_low", "test/accuracy_high")
FIT_END_TAGS = ("vecml.architecture_digest", "vecml.model_digest")
FIT_TAGS = (*START_TAGS, *FIT_END_TAGS, ERROR)
# A batch: many files that were labelled into a folder of parts.
PREDICT_PARAMS = (
    *("data_source", "out", "model", "engine", "precision", "layout"),
    *("keep", "probabilities", "row", "part_size", "cluster"),
)
PREDICT_METRICS = (
    "predict/rows",
    "predict/new_rows",
    "predict/files",
    "predict/parts",
    "predict/taken_over",
    "predict/seconds",
    "predict/rows_per_s",
    "predict/nodes",
    "predict/node_failures",
    "predict/retries",
    "predict/slowest_node_rows_per_s",
    "predict/fastest_node_rows_per_s",
    "predict/unseen_categories",
    "predict/markers_filled_in",
)
PREDICT_END_TAGS = ("vecml.plan_digest", "vecml.model_digest", "vecml.model_run")
PREDICT_TAGS = (*START_TAGS, *PREDICT_END_TAGS, ERROR)

PIPELINE, COMPARE, SETTING = "pipeline", "compare", "setting"  # what stands under KIND
FUNCTION, COMMAND = "function", "command"
LADDER, LAB, OPTIMIZE, FIT, PREDICT = "ladder", "lab", "optimize", "fit", "predict"

COMPUTING = ("python", "numpy", "torch", "onnxruntime", "openvino", "halide", "scipy", "blas", "gpu_driver")
AUTO = "auto"  # the param `epochs` where held-out rows decide
NONE = "none"  # a param without a value: MLflow's params are text, and an empty one reads like a fault


def text(value: object) -> str:
    """A param's text: lists by commas, nothing as `none`, numbers as Python writes them."""
    if value is None:
        return NONE
    if isinstance(value, tuple | list):
        return ",".join(map(str, value))
    return str(value)


def rung_metrics(name: str) -> tuple[str, ...]:
    """List the metrics of a rung: `RUNG_METRICS` with its name, where `whole-array BLAS` becomes `whole_array_blas`."""
    own = name.lower().replace(" ", "_").replace("-", "_")
    return tuple(key.replace("<rung>", own) for key in RUNG_METRICS)


def lab_metrics(experiment: str) -> tuple[str, ...]:
    """List the metrics of an experiment: `LAB_METRICS` with its name in them."""
    return tuple(key.replace("<experiment>", experiment) for key in LAB_METRICS)
