"""The registry names what there is and says why an engine cannot be used; it does not import torch for that."""

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest

from vecml import config, device
from vecml.config import Setting
from vecml.engines import torch as torch_engine
from vecml.engines.registry import ENGINES, availability, check, get_engine, load_engine
from vecml.errors import EngineUnavailableError, SettingError
from vecml.model.network import Model

Make = Callable[..., Model]


def test_the_names_are_the_configs() -> None:
    assert tuple(ENGINES) == config.ENGINES
    assert all(engine.name == name for name, engine in ENGINES.items())


def test_an_unknown_engine_is_answered_with_the_ones_there_are() -> None:
    with pytest.raises(SettingError, match=r"^--engine tensorflow: there is no such engine$") as caught:
        get_engine("tensorflow")
    assert caught.value.hint == "choose from row_loop, numpy, torch"


def test_every_engine_is_available_here() -> None:
    assert [availability(name) for name in ENGINES] == [None, None, None]


def test_the_registry_is_read_without_torch_or_scipy() -> None:
    program = (
        "import sys, vecml.engines.registry as r; from vecml.device import resolve_setting;"
        "from vecml.config import PipelineConfig; resolve_setting(PipelineConfig(device='cpu'));"
        "print(sorted({'torch', 'scipy', 'threadpoolctl', 'pandas'} & set(sys.modules)))"
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


def test_what_can_be_passes(make_model: Make) -> None:
    check(make_model((3, 4, 2)), Setting("numpy", precision="float64"))
    loaded = load_engine(make_model((3, 4, 2)), Setting("numpy"))
    assert loaded.logits(np.zeros((3, 0), np.float32)).shape == (0, 2)
    loaded.close()


def test_torch_that_cannot_be_imported_is_a_reason(monkeypatch: pytest.MonkeyPatch, make_model: Make) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # importing it raises ImportError
    reason = get_engine("torch").unavailable(make_model((3, 2)), Setting("torch"))
    assert reason is not None
    assert reason.startswith("torch cannot be imported: ")
    assert device.available_devices() == ("cpu",)


def test_a_cpu_without_bfloat16_is_a_reason(monkeypatch: pytest.MonkeyPatch, make_model: Make) -> None:
    import torch

    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False, raising=False)
    model = make_model((3, 2))
    assert get_engine("torch").unavailable(model, Setting("torch", precision="bfloat16")) == (
        "this CPU has no bfloat16 arithmetic"
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


def test_a_driver_that_fails_is_a_reason(monkeypatch: pytest.MonkeyPatch, make_model: Make) -> None:
    import torch

    def fail(_: int) -> None:
        raise RuntimeError("driver trouble")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_capability", fail)
    reason = get_engine("torch").unavailable(make_model((3, 2)), Setting("torch", device="cuda"))
    assert reason == "torch cannot use cuda: driver trouble"


def test_what_device_py_says_of_engines_is_what_they_say() -> None:
    accelerated = {name for name, engine in ENGINES.items() if set(engine.devices) & set(device.ACCELERATORS)}
    assert accelerated == set(device.ACCELERATED_ENGINES)
    assert {name for name, engine in ENGINES.items() if engine.precisions == ("float64",)} == set(
        device.FLOAT64_ENGINES
    )
    assert set(torch_engine.ON_DEVICE) == {"cpu", *device.ACCELERATORS}
    for name, engine in ENGINES.items():
        assert device.resolve_precision(name, "float32") in engine.precisions
