"""The files of the page without a server, by their names: a folder of them, or one page that holds them all."""

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tandem.version import __version__
from tandem.web.modules import as_expression, bundled, needed, page_texts
from tandem.web.runtime import PACKAGE, RUNTIMES, VERSION, Provider

PAGE, ENTRY, WORKER, OFFLINE, ABOUT = "index.html", "alone.js", "worker.js", "offline.js", "model.json"
PACKED = ".gzip"
"""Ending of what is compressed in the file itself. Servers take .gz for the encoding of the answer, some of them."""

_POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; worker-src 'self' blob:; manifest-src 'none'; base-uri 'none'; form-action 'none'"
)
_POLICY_OF_ONE = (
    "default-src 'none'; script-src '{script}' 'wasm-unsafe-eval' blob:; style-src '{style}'; img-src blob: data:; "
    "worker-src blob:; base-uri 'none'; form-action 'none'"
)
_LICENSE = f"""{PACKAGE} {VERSION}, in this folder, is part of ONNX Runtime.

MIT License

Copyright (c) Microsoft Corporation

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


def folder_files(about: Mapping[str, Any], networks: Mapping[str, bytes], runtime: Path) -> dict[str, bytes]:
    """The files of the folder, the page last.

    Args:
        about: What ``model.json`` holds, but for the runtime.
        networks: The ONNX files by their names.
        runtime: The folder that holds those of ONNX Runtime Web.
    """
    texts = page_texts()
    modules = dict.fromkeys([*needed(texts, ENTRY), *needed(texts, WORKER), "style.css", "icon.svg"])
    files: dict[str, bytes] = {name: texts[name].encode() for name in modules}
    files |= networks
    runtimes = {}
    for provider in RUNTIMES:
        runtimes[provider] = _add_runtime(files, runtime, provider)
    files["runtime/LICENSE.txt"] = _LICENSE.encode()
    files[ABOUT] = _about_text(about, runtimes)
    files[PAGE] = _page(texts[PAGE], _POLICY, f'<script type="module" src="{ENTRY}"></script>').encode()
    kept = [name for name in files if name not in runtimes["webgpu"].values() and name != "runtime/LICENSE.txt"]
    files[OFFLINE] = _offline(texts[OFFLINE], files, ["./", *kept]).encode()
    files[PAGE] = files.pop(PAGE)
    return files


def single_file(about: Mapping[str, Any], networks: Mapping[str, bytes], runtime: Path) -> str:
    """The page as one file, which needs neither a server nor a network. WebAssembly runs the model."""
    texts, assets = page_texts(), dict(networks)
    names = _add_runtime(assets, runtime, "wasm")
    module = assets.pop(names["module"]).decode()
    assets[ABOUT] = _about_text(about, {"wasm": {**names, "module": None}})
    assets[WORKER] = f"self.runtime = {as_expression(module)};\n{bundled(texts, WORKER)}".encode()
    script, style = f"\n{bundled(texts, ENTRY)}\n", texts["style.css"]
    if any("</script" in text.lower() for text in (script, style)) or "</style" in style.lower():
        raise AssertionError("a tag ends within a script or a style")
    policy = _POLICY_OF_ONE.format(script=_hash_source(script), style=_hash_source(style))
    held = "".join(
        f'<script type="application/octet-stream" id="asset:{name}">{base64.b64encode(data).decode()}</script>\n'
        for name, data in assets.items()
    )
    # The script is a module and so runs when all elements are there, those of the files included.
    page = _page(texts[PAGE], policy, f'<script type="module">{script}</script>')
    icon = f"data:image/svg+xml;base64,{base64.b64encode(texts['icon.svg'].encode()).decode()}"
    page = page.replace('<link rel="stylesheet" href="style.css">', f"<style>{style}</style>")
    page = page.replace('"icon.svg"', f'"{icon}"')
    return page.replace("</body>", f"{held}<!-- {PACKAGE} {VERSION}:\n{_LICENSE}-->\n</body>")


def wire_bytes(files: Mapping[str, bytes]) -> int:
    """What is sent when the page is opened, by a host that compresses, to a browser that runs the model itself."""
    optional = {f"runtime/{one}" for one in _names(RUNTIMES["webgpu"])} | {"runtime/LICENSE.txt", OFFLINE}
    return sum(
        min(len(data), len(gzip.compress(data, mtime=0))) for name, data in files.items() if name not in optional
    )


def _names(files: Any) -> tuple[str, str]:
    """The names of a runtime's module and binary; a host need not know what .mjs is."""
    return files.module.name.removesuffix(".mjs") + ".js", files.binary.name + PACKED


def _add_runtime(files: dict[str, bytes], folder: Path, provider: Provider) -> dict[str, str]:
    own = RUNTIMES[provider]
    names = {part: f"runtime/{name}" for part, name in zip(("module", "binary"), _names(own), strict=True)}
    files[names["module"]] = (folder / own.module.name).read_bytes()
    files[names["binary"]] = gzip.compress((folder / own.binary.name).read_bytes(), mtime=0)
    return names


def _about_text(about: Mapping[str, Any], runtimes: Mapping[Provider, Mapping[str, str | None]]) -> bytes:
    values = {"tandem": __version__, **about, "runtimes": runtimes}
    return json.dumps(values, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _page(text: str, policy: str, script: str) -> str:
    head = f'<meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy" content="{policy}">'
    text = text.replace('<meta charset="utf-8">', head)
    return text.replace('<script type="module" src="main.js"></script>', script)


def _offline(text: str, files: Mapping[str, bytes], kept: list[str]) -> str:
    digest = hashlib.sha256()
    for name, data in sorted(files.items()):
        digest.update(f"{name}\0{len(data)}\0".encode())
        digest.update(data)
    text = text.replace('const VERSION = "";', f'const VERSION = "{digest.hexdigest()[:16]}";')
    return text.replace("const FILES = [];", f"const FILES = {json.dumps(kept)};")


def _hash_source(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
