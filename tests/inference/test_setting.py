"""A config is resolved for this machine: devices, threads, precision; and what is not there is named."""

import pytest

from vecml import device
from vecml.config import PipelineConfig, Setting
from vecml.device import check_threads
from vecml.errors import DeviceUnavailableError, SettingError
from vecml.inference import setting as setting_module
from vecml.inference.setting import resolve_setting


@pytest.fixture
def four_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setting_module, "usable_cpus", lambda: 4)
    monkeypatch.setattr(device, "usable_cpus", lambda: 4)


def offer(monkeypatch: pytest.MonkeyPatch, *devices: str) -> None:
    monkeypatch.setattr(setting_module, "available_devices", lambda: ("cpu", *devices))


def test_nothing_is_left_open(monkeypatch: pytest.MonkeyPatch, four_cpus: None) -> None:
    offer(monkeypatch)
    assert resolve_setting(PipelineConfig()) == Setting(
        engine="torch", device="cpu", precision="float32", layout="columns", threads=4, block_rows=None
    )
    asked = PipelineConfig(engine="numpy", precision="float64", layout="rows", threads=3, block_rows=1_000)
    assert resolve_setting(asked) == Setting(
        engine="numpy", device="cpu", precision="float64", layout="rows", threads=3, block_rows=1_000
    )


@pytest.mark.parametrize(
    ("there", "engine", "expected"),
    [
        ((), "torch", "cpu"),
        (("cuda",), "torch", "cuda"),
        (("mps",), "torch", "mps"),
        (("cuda", "mps"), "torch", "cuda"),
        (("cuda",), "numpy", "cpu"),
        (("cuda",), "row_loop", "cpu"),
    ],
)
def test_auto_takes_an_accelerator_for_an_engine_that_knows_one(
    monkeypatch: pytest.MonkeyPatch, there: tuple[str, ...], engine: str, expected: str
) -> None:
    offer(monkeypatch, *there)
    assert resolve_setting(PipelineConfig(engine=engine)).device == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("there", "wanted", "message"),
    [
        ((), "cuda", "--device cuda: this machine offers cpu"),
        (("mps",), "cuda", "--device cuda: this machine offers cpu, mps"),
        (("cuda",), "mps", "--device mps: this machine offers cpu, cuda"),
    ],
)
def test_a_device_that_is_not_here(
    monkeypatch: pytest.MonkeyPatch, there: tuple[str, ...], wanted: str, message: str
) -> None:
    offer(monkeypatch, *there)
    with pytest.raises(DeviceUnavailableError) as caught:
        resolve_setting(PipelineConfig(device=wanted))  # type: ignore[arg-type]
    assert caught.value.message == message
    assert caught.value.hint == "leave --device out to take what there is"
    assert resolve_setting(PipelineConfig(device="cpu")).device == "cpu"


def test_an_engine_that_does_not_know_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, "cuda")
    with pytest.raises(SettingError) as caught:
        resolve_setting(PipelineConfig(engine="numpy", device="cuda"))
    assert caught.value.message == "--device cuda: engine numpy runs on the cpu"
    assert caught.value.hint == "--engine torch or torch_compile"


def test_only_the_question_imports_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setting_module, "available_devices", lambda: pytest.fail("torch would be imported"))
    resolve_setting(PipelineConfig(device="cpu"))
    resolve_setting(PipelineConfig(engine="numpy"))


def test_the_reference_has_float64_and_refuses_nothing_else_quietly() -> None:
    assert resolve_setting(PipelineConfig(engine="row_loop")).precision == "float64"
    assert resolve_setting(PipelineConfig(engine="row_loop", precision="float64")).precision == "float64"
    assert resolve_setting(PipelineConfig(engine="row_loop", precision="bfloat16")).precision == "bfloat16"
    assert resolve_setting(PipelineConfig(engine="numpy")).precision == "float32"


@pytest.mark.parametrize(("cpus", "text"), [(2, "2 CPUs"), (1, "1 CPU")])
def test_more_threads_than_cpus(monkeypatch: pytest.MonkeyPatch, cpus: int, text: str) -> None:
    monkeypatch.setattr(device, "usable_cpus", lambda: cpus)
    for refuse in (lambda: check_threads(9_999), lambda: resolve_setting(PipelineConfig(threads=9_999, device="cpu"))):
        with pytest.raises(SettingError) as caught:
            refuse()
        assert caught.value.message == f"--threads 9999: this machine offers {text}"
        assert caught.value.hint == f"--threads {cpus}, or leave it out to take them all"
    check_threads(cpus)
    check_threads(None)


def test_engine_auto_chooses_among_all_that_could(monkeypatch: pytest.MonkeyPatch, four_cpus: None) -> None:
    offer(monkeypatch, "cuda")
    found = setting_module.candidates(PipelineConfig(engine="auto", device="cpu", layout="rows"))
    assert [setting.engine for setting in found] == [
        *("numpy", "torch", "torch_compile", "onnxruntime", "openvino", "halide")
    ]
    assert {(setting.device, setting.layout, setting.threads) for setting in found} == {("cpu", "rows", 4)}
    devices = {(setting.engine, setting.device) for setting in setting_module.candidates(PipelineConfig(engine="auto"))}
    assert {("torch", "cuda"), ("torch", "cpu"), ("torch_compile", "cuda"), ("halide", "cpu")} <= devices
    assert {setting.device for setting in setting_module.candidates(PipelineConfig(engine="auto", device="cuda"))} == {
        "cuda"
    }


def test_engine_auto_leaves_out_what_no_machine_could_do(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch)
    wide = setting_module.candidates(PipelineConfig(engine="auto", precision="float64"))
    assert "openvino" not in {setting.engine for setting in wide}
    with pytest.raises(SettingError) as caught:
        setting_module.candidates(PipelineConfig(engine="auto", precision="tf32", device="cpu"))
    assert caught.value.message == "--engine auto: no engine computes in tf32 on cpu"
    with pytest.raises(DeviceUnavailableError):
        setting_module.candidates(PipelineConfig(engine="auto", device="cuda"))


def test_training_for_engine_auto_is_where_torch_would_run(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, "cuda")
    assert setting_module.training_device(PipelineConfig(engine="auto")) == "cuda"
    assert setting_module.training_device(PipelineConfig(engine="auto", device="cpu")) == "cpu"
    assert setting_module.training_device(PipelineConfig(engine="numpy")) == "cpu"
