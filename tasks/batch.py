"""The steps of a batch: find the model and the setting to run it in, and label the files."""

import dataclasses

from tasks.tracking.promotion import StoredModel, find_model
from vecml.batch.cluster import UNIT_SECONDS, Wish
from vecml.batch.config import BatchConfig
from vecml.batch.label import Ask, Labelled, label_files
from vecml.batch.plan import UNIT_BYTES
from vecml.config import DATABASES, Setting, make_config
from vecml.data.dialect import LOOK, AskedFormat
from vecml.data.memory_limit import bytes_of
from vecml.device import check_threads
from vecml.engines.registry import get_engine
from vecml.errors import SettingError
from vecml.inference.predict_file import runnable
from vecml.inference.setting import resolve_setting


def find(
    model: str, engine: str | None, threads: int | None, architecture: str | None
) -> tuple[StoredModel, Setting, list[str]]:
    """Find a model and the setting to run it in here.

    Args:
        model: as for `find_model`.
        engine: another engine than the stored one, on the CPU; None: the stored setting.
        threads: another number of CPU threads.
        architecture: `package.module:Class` of a model of the user's own class.

    Returns the model, the setting, and notes of what was changed in that. Raises SettingError for what cannot be,
    StoreError where there is no such model.
    """
    if engine == "auto":
        raise SettingError("--engine auto: it would have to be compared first", "vecml compare --run, vecml champion")
    named = find_model(model, architecture)
    setting, note = runnable(named.run.classifier.model, _wanted(named.setting, engine, threads))
    return named, setting, [] if note is None else [note]


def _wanted(stored: Setting, engine: str | None, threads: int | None) -> Setting:
    """The stored setting, or another engine's own on the CPU, with the threads that are asked for."""
    if engine is not None:
        get_engine(engine)
        return resolve_setting(make_config({"engine": engine, "threads": threads, "device": "cpu"}))
    if threads is not None:
        check_threads(threads)
        return dataclasses.replace(stored, threads=threads)
    return stored


def label(config: BatchConfig, named: StoredModel, setting: Setting, text: AskedFormat = LOOK) -> Labelled:
    """Label the files of `config` with the model and setting of `find`, and what the user says of text files.

    Raises SettingError for a part size that is none; further as `label_files` does.
    """
    unit_bytes = UNIT_BYTES if config.part_size is None else bytes_of(config.part_size, "--part-size")
    ask = Ask(config.keep, config.probabilities, config.row, text, config.resume, unit_bytes, _cluster(config))
    return label_files(named.run.classifier, config.data, setting, config.out, ask)


def check(config: BatchConfig) -> None:
    """Raise SettingError for settings that cannot be together, before anything is looked up."""
    if config.data == "-" or config.data.startswith(DATABASES):
        raise SettingError(
            f"--out {config.out}: a folder of parts is made of files", "name a file: --out labels.parquet"
        )
    if config.part_size is not None:
        bytes_of(config.part_size, "--part-size")
    _cluster(config)


def _cluster(config: BatchConfig) -> Wish | None:
    if config.cluster is None:
        if config.node_timeout is not None:
            raise SettingError(f"--node-timeout {config.node_timeout:g}: for --cluster only", "--cluster local:2")
        return None
    if config.threads is not None:
        raise SettingError(
            f"--threads {config.threads}: on a cluster each node uses the cores that Ray has there",
            "leave it out; ray start --num-cpus N says how many those are",
        )
    return Wish(config.cluster, UNIT_SECONDS if config.node_timeout is None else config.node_timeout)
