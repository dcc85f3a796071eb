"""The registry names what there is and says why an engine cannot be used; it does not import torch for that."""

import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vecml import config, device
from vecml.config import Setting
from vecml.engines.registry import ENGINES, availability, check, check_setting, get_engine, load_engine
from vecml.errors import EngineUnavailableError, SettingError
from vecml.model.network import Model, OwnArchitecture
from vecml.model.own_module import OwnModel

Make = Callable[..., Model]


def test_the_names_are_the_configs() -> None:
    assert tuple(ENGINES) == config.ENGINES
    assert all(engine.name == name for name, engine in ENGINES.items())


def test_an_unknown_engine_is_answered_with_the_ones_there_are() -> None:
    with pytest.raises(SettingError, match=r"^--engine tensorflow: there is no such engine$") as caught:
        get_engine("tensorflow")
    assert caught.value.hint == f"choose from {', '.join(config.ENGINES)}"


def test_every_engine_is_available_here() -> None:
    assert {availability(name) for name in ENGINES} == {None}


def test_the_registry_is_read_without_torch_or_scipy() -> None:
    program = (
        "import sys, vecml.engines.registry as r; from vecml.inference.setting import resolve_setting;"
        "from vecml.config import PipelineConfig; resolve_setting(PipelineConfig(device='cpu'));"
        "heavy = {'torch', 'scipy', 'threadpoolctl', 'pandas', 'onnx', 'onnxruntime', 'openvino', 'halide'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        (Setting("numpy", device="cuda"), "device cuda is not one of its own: cpu"),
        (Setting("numpy", precision="bfloat16"), "precision bfloat16 is not one of its own: float32, float64"),
        (Setting("row_loop"), "precision float32 is not one of its own: float64"),
        (Setting("torch", layout="diagonal"), "layout diagonal is not one of its own: columns, rows"),  # type: ignore[arg-type]
        (Setting("torch", isa="avx2"), "it cannot choose an instruction set (avx2)"),
        (Setting("torch", precision="tf32"), "on cpu it computes in float32, float64, bfloat16, not in tf32"),
        (
            Setting("torch", device="mps", precision="float64"),
            "on mps it computes in float32, float16, not in float64",
        ),
        (Setting("torch", device="cuda", device_index=99), "torch sees no CUDA device 99, of "),
    ],
)
def test_why_a_setting_cannot_be(make_model: Make, setting: Setting, reason: str) -> None:
    model = make_model((3, 4, 2))
    with pytest.raises(EngineUnavailableError) as caught:
        load_engine(model, setting)
    assert caught.value.message.startswith(f"engine {setting.engine} cannot run this model here: {reason}")
    assert "\n" not in caught.value.message
    assert caught.value.hint == "vecml doctor shows what this machine has"


IMPOSSIBLE = [
    (Setting("numpy", precision="float16"), "precision float16 is not one of its own: float32, float64"),
    (Setting("row_loop", precision="float16"), "precision float16 is not one of its own: float64"),
    (Setting("numpy", device="mps"), "device mps is not one of its own: cpu"),
    (Setting("numpy", layout="diagonal"), "layout diagonal is not one of its own: columns, rows"),  # type: ignore[arg-type]
    (Setting("torch", precision="float16"), "on cpu it computes in float32, float64, bfloat16, not in float16"),
]


@pytest.mark.parametrize(("setting", "reason"), IMPOSSIBLE)
def test_what_no_machine_can_do_is_refused_without_a_model_in_the_same_words(
    make_model: Make, setting: Setting, reason: str
) -> None:
    with pytest.raises(EngineUnavailableError) as early:
        check_setting(setting)
    with pytest.raises(EngineUnavailableError) as late:
        load_engine(make_model((3, 4, 2)), setting)
    assert early.value.message == late.value.message == f"engine {setting.engine} cannot run this model here: {reason}"
    assert early.value.hint == late.value.hint


def test_what_some_machine_can_do_is_left_to_loading() -> None:
    for engine in ENGINES.values():
        for name, precisions in engine.devices.items():
            for precision in precisions:
                check_setting(Setting(engine.name, device=name, precision=precision))
    with pytest.raises(SettingError, match="there is no such engine"):
        check_setting(Setting("tensorflow"))


def test_a_settings_check_imports_no_torch() -> None:
    program = (
        "import sys; from vecml.config import Setting; from vecml.engines.registry import check_setting\n"
        "check_setting(Setting('torch', precision='bfloat16')); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_every_engines_precisions_are_those_of_its_devices() -> None:
    for engine in ENGINES.values():
        assert set(engine.precisions) == set().union(*engine.devices.values()), engine.name


def test_what_can_be_passes(make_model: Make) -> None:
    check(make_model((3, 4, 2)), Setting("numpy", precision="float64"))
    loaded = load_engine(make_model((3, 4, 2)), Setting("numpy"))
    assert loaded.logits(np.zeros((3, 0), np.float32)).shape == (0, 2)
    loaded.close()


def test_torch_that_cannot_be_imported_is_a_reason(monkeypatch: pytest.MonkeyPatch, make_model: Make) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # importing it raises ImportError
    reason = get_engine("torch").unavailable(make_model((3, 2)), Setting("torch"))
    assert reason == "torch is not installed"
    assert device.available_devices() == ("cpu",)


def test_a_cpu_without_bfloat16_is_a_reason(monkeypatch: pytest.MonkeyPatch, make_model: Make) -> None:
    import torch

    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False, raising=False)
    model = make_model((3, 2))
    assert get_engine("torch").unavailable(model, Setting("torch", precision="bfloat16")) == (
        "this CPU has no bfloat16 arithmetic"
    )
    assert get_engine("torch").unavailable(model, Setting("torch")) is None


def test_a_torch_without_onednn_is_a_reason(monkeypatch: pytest.MonkeyPatch, make_model: Make) -> None:
    import torch

    monkeypatch.setattr(torch.ops, "mkldnn", object())  # asking it for anything raises AttributeError
    model = make_model((3, 2))
    assert get_engine("torch").unavailable(model, Setting("torch", precision="bfloat16")) == (
        "this torch was built without oneDNN, which computes in bfloat16 on a CPU"
    )
    assert get_engine("torch").unavailable(model, Setting("torch")) is None


@pytest.mark.parametrize(
    ("capability", "precision", "reason"),
    [((7, 5), "tf32", "this GPU has no tf32 arithmetic"), ((7, 5), "float32", None), ((9, 0), "bfloat16", None)],
)
def test_what_a_gpu_has_goes_by_its_capability(
    monkeypatch: pytest.MonkeyPatch, make_model: Make, capability: tuple[int, int], precision: str, reason: str | None
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    setting = Setting("torch", device="cuda", precision=precision)  # type: ignore[arg-type]
    assert get_engine("torch").unavailable(make_model((3, 2)), setting) == reason


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("driver trouble\nand its traceback"), "driver trouble"),
        (AssertionError("Torch not compiled with CUDA enabled"), "Torch not compiled with CUDA enabled"),
        (AttributeError(), "AttributeError"),
    ],
)
def test_a_driver_that_fails_is_a_reason_in_one_line(
    monkeypatch: pytest.MonkeyPatch, make_model: Make, error: Exception, reason: str
) -> None:
    import torch

    def fail(_: int) -> None:
        raise error

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_capability", fail)
    found = get_engine("torch").unavailable(make_model((3, 2)), Setting("torch", device="cuda"))
    assert found == f"torch cannot use cuda: {reason}"


def test_a_negative_device_is_not_there(make_model: Make) -> None:
    reason = get_engine("torch").unavailable(make_model((3, 2)), Setting("torch", device="cuda", device_index=-1))
    assert reason is not None
    assert reason.startswith("torch sees no CUDA device -1, of ")


@pytest.mark.parametrize(
    ("name", "library", "extra"),
    [("onnxruntime", "onnxruntime", "onnx"), ("onnxruntime", "onnx", "onnx"), ("openvino", "openvino", "openvino")],
)
def test_a_library_that_breaks_is_a_reason_in_one_line(
    monkeypatch: pytest.MonkeyPatch, make_model: Make, name: str, library: str, extra: str
) -> None:
    real = importlib.import_module

    def fail(error: Exception) -> Callable[[str], object]:
        def load(wanted: str) -> object:
            if wanted == library:
                raise error
            return real(wanted)

        return load

    for error, reason in (
        (ModuleNotFoundError(name=library), f"{library} is not installed: pip install 'vecml[{extra}]'"),
        (OSError("no such symbol\nand more"), f"{library} cannot be imported: no such symbol"),
    ):
        monkeypatch.setattr(importlib, "import_module", fail(error))
        assert get_engine(name).unavailable(make_model((3, 2)), Setting(name)) == reason


def test_no_compiler_is_a_reason(monkeypatch: pytest.MonkeyPatch, make_model: Make) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.delenv("CXX", raising=False)
    setting = Setting("torch_compile")
    reason = "torch.compile needs a C++ compiler: none of g++, clang++ is on the PATH"
    assert get_engine("torch_compile").unavailable(make_model((3, 2)), setting) == reason
    monkeypatch.setenv("CXX", "cxx-of-mine")
    reason = "torch.compile needs a C++ compiler: CXX is cxx-of-mine, not on the PATH"
    assert get_engine("torch_compile").unavailable(make_model((3, 2)), setting) == reason


def test_openvino_is_imported_without_its_telemetry(tmp_path: Path) -> None:
    program = (
        "import sys; from vecml.engines.registry import availability; print(availability('openvino'),"
        "sorted(name for name in sys.modules if name.startswith('openvino_telemetry')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    assert done.stdout.strip() == "None []"
    assert not (tmp_path / "intel").exists()


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_a_module_that_cannot_be_exported_is_refused_with_the_operator(name: str) -> None:
    import torch

    class Bessel(torch.nn.Module):
        def forward(self, x_NF: torch.Tensor) -> torch.Tensor:
            return torch.special.bessel_j0(x_NF)[:, :2]

    architecture = OwnArchitecture("mine:Bessel", 5, 2, "0" * 32, 0, "aten.special_bessel_j0")
    model = OwnModel(architecture, Bessel().eval(), ("a", "b"), "0" * 32)
    with pytest.raises(EngineUnavailableError) as caught:
        load_engine(model, Setting(name))
    assert caught.value.message == (
        f"engine {name} cannot run mine:Bessel: its export to ONNX fails at prims.bessel_j0"
    )
    assert caught.value.hint == "engine torch runs every module"


def test_onnx_runtime_finds_its_telemetry_switched_off() -> None:
    """It reads the environment when it is imported, which is after the package of the engines."""
    script = (
        "import os; os.environ.pop('ORT_DISABLE_TELEMETRY', None)\n"
        "import vecml.engines.onnxruntime_blocks, sys\n"
        "assert 'onnxruntime' in sys.modules; print(os.environ['ORT_DISABLE_TELEMETRY'])\n"
    )
    pytest.importorskip("onnxruntime")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
