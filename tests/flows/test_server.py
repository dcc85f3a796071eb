"""Which Prefect server is meant, read without Prefect."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.server import check_home, configured_url, go_past_proxies, without_lost_certificates, without_socks
from vecml.errors import ServerError


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("PREFECT_API_URL", "PREFECT_PROFILE", "PREFECT_PROFILES_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path)


def test_none() -> None:
    assert configured_url() is None


def test_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    assert configured_url() == "http://127.0.0.1:1/api"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("prefect.toml", '[api]\nurl = "http://127.0.0.1:2/api"\n'),
        ("pyproject.toml", '[tool.prefect.api]\nurl = "http://127.0.0.1:2/api"\n'),
        ("home/profiles.toml", 'active = "a"\n[profiles.a]\nPREFECT_API_URL = "http://127.0.0.1:2/api"\n'),
    ],
)
def test_a_file(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    assert configured_url() == "http://127.0.0.1:2/api"


def test_another_profile_counts_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home/profiles.toml").write_text(
        'active = "b"\n[profiles.a]\nPREFECT_API_URL = "http://x"\n[profiles.b]\n'
    )
    assert configured_url() is None
    monkeypatch.setenv("PREFECT_PROFILE", "a")
    assert configured_url() == "http://x"


def test_a_damaged_file_is_left_to_prefect(tmp_path: Path) -> None:
    (tmp_path / "prefect.toml").write_text("[api\n")
    assert configured_url() is None


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("vecml.cli.app", ("numpy", "torch", "prefect", "mlflow", "pyarrow", "httpx")),
        ("vecml.cli.launch", ("torch", "prefect", "mlflow", "pyarrow", "sklearn", "scipy", "matplotlib")),
    ],
)
def test_nothing_heavy_is_imported_before_it_is_needed(module: str, heavy: tuple[str, ...]) -> None:
    code = f"import sys, {module}; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_a_home_that_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_HOME", "/proc/none")
    with pytest.raises(ServerError) as caught:
        check_home()
    assert caught.value.message.startswith("Prefect cannot keep its database in /proc/none: No such file")
    assert caught.value.hint == "name a folder that can be written, and keep it: export PREFECT_HOME=/tmp/prefect"
    monkeypatch.setenv("PREFECT_API_DATABASE_CONNECTION_URL", "sqlite+aiosqlite:////tmp/a.db")
    check_home()


@pytest.mark.skipif(importlib.util.find_spec("socksio") is not None, reason="httpx can use a SOCKS proxy here")
def test_a_socks_proxy_is_forgotten_where_only_this_machine_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    import httpx

    for name in ("ALL_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "socks5h://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with pytest.raises(ImportError, match="socksio"):
        httpx.Client()
    for elsewhere in ("PREFECT_API_URL", "MLFLOW_TRACKING_URI"):
        monkeypatch.setenv(elsewhere, "https://u:secret@server.example/api")
        with pytest.raises(ServerError, match=r"a SOCKS proxy, .* and server\.example is elsewhere$") as caught:
            without_socks()
        assert "unset" in str(caught.value.hint)
        monkeypatch.delenv(elsewhere)
    without_socks()
    assert {"ALL_PROXY", "https_proxy"}.isdisjoint(os.environ)
    assert os.environ["HTTP_PROXY"] == "http://127.0.0.1:9"
    httpx.Client().close()


def test_certificates_that_are_not_there_are_forgotten_where_only_this_machine_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import httpx

    monkeypatch.setenv("SSL_CERT_FILE", "/none.pem")
    with pytest.raises(FileNotFoundError):
        httpx.Client()
    for elsewhere in ("PREFECT_API_URL", "MLFLOW_TRACKING_URI"):
        monkeypatch.setenv(elsewhere, "https://server.example/api")
        with pytest.raises(ServerError, match=r"^SSL_CERT_FILE names /none\.pem, and there is no such file$") as caught:
            without_lost_certificates()
        assert caught.value.hint == "unset SSL_CERT_FILE"
        monkeypatch.delenv(elsewhere)
    without_lost_certificates()
    assert "SSL_CERT_FILE" not in os.environ
    httpx.Client().close()
    (tmp_path / "kept.pem").touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "kept.pem"))
    without_lost_certificates()
    assert "SSL_CERT_FILE" in os.environ


def test_what_is_no_proxy_is_forgotten_where_only_this_machine_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    import httpx

    for name, value in (("http_proxy", "::"), ("HTTPS_PROXY", "ftp://x"), ("NO_PROXY", "[::1],a.example")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("ALL_PROXY", "127.0.0.1:9")
    with pytest.raises(httpx.InvalidURL):
        httpx.Client()
    go_past_proxies()
    assert {"http_proxy", "HTTPS_PROXY"}.isdisjoint(os.environ)
    assert os.environ["ALL_PROXY"] == "127.0.0.1:9"
    assert os.environ["NO_PROXY"] == "::1,a.example,127.0.0.1,localhost"
    httpx.Client().close()
