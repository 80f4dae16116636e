"""Models on the Hub: the real library against a server that speaks its endpoints, in processes of their own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hub_server import HubServer, Repository
from tandem.cli import main

pytest.importorskip("huggingface_hub")


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer().running() as server:
        yield server


@pytest.fixture
def shared(make_bundle: Callable[..., Path], tmp_path: Path) -> Path:
    assert (
        main(["export", str(make_bundle()), "--to", "hub", "--out", str(tmp_path / "shared"), "--licence", "mit"]) == 0
    )
    return tmp_path / "shared"


def run(hub: HubServer, cache: Path, *words: str | Path, code: str | None = None, **more: str) -> tuple[int, str]:
    """The command line, or some Python and its arguments, as somebody with this cache and a token sees it.

    The status and all output.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(cache), "HF_TOKEN": hub.token, "no_proxy": "127.0.0.1"}
    environment |= {"HF_HUB_DISABLE_XET": "1", "OMP_NUM_THREADS": "1"} | more
    command = [sys.executable, *(["-m", "tandem"] if code is None else ["-c", code]), *map(str, words)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout + done.stderr


SAMPLE = """
import sys, numpy, tandem
for model in sys.argv[1:]:
    translator = tandem.load(model, device="cpu")
    print(int(numpy.asarray(translator("image.png", 1)[0]).astype(int).sum()))
"""


def test_pushed_pulled_loaded_and_found_again_without_a_network(
    hub: HubServer, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.arange(16 * 16 * 3, dtype=np.uint8).reshape(16, 16, 3)).save("image.png")
    card = shared / "README.md"
    card.write_text(card.read_text().replace("Not described yet.", "For drawings of shoes."))
    cache = tmp_path / "cache"
    status, said = run(hub, cache, "push", shared, "me/shoes")
    assert status == 0, said
    assert "sealed anew, because it was changed: README.md" in said
    repository = hub.repositories["me/shoes"]
    first = repository.refs["main"]
    assert repository.commits[first] == {path.name: path.read_bytes() for path in shared.iterdir()}
    assert not hub.private

    status, said = run(hub, cache, "pull", "me/shoes")
    assert status == 0, said
    assert {path.name: path.read_bytes() for path in Path("shoes").iterdir()} == repository.commits[first]
    assert not any(path.is_symlink() for path in Path("shoes").iterdir())
    status, said = run(hub, cache, "shared", "hf://me/shoes", code=SAMPLE)
    assert status == 0, said
    expected, loaded = said.splitlines()
    assert loaded == expected

    # Something else on the branch; the first commit stays where it is, and can be had by its name.
    repository.commit({"config.json": b"{}"})
    status, said = run(hub, cache, f"hf://me/shoes@{first}", "hf://me/shoes", code=SAMPLE)
    assert status == 1
    assert said.startswith(f"{expected}\n")
    assert "has the bundle format None" in said
    repository.refs["main"] = first

    hub.requests.clear()
    offline = {"HF_HUB_OFFLINE": "1"}
    assert run(hub, cache, f"hf://me/shoes@{first}", code=SAMPLE, **offline) == (0, f"{expected}\n")
    status, said = run(hub, cache, "sample", f"hf://me/shoes@{first}", "image.png", "--out", "out", **offline)
    assert status == 0, said
    assert Path("out/index.html").is_file()
    assert not hub.requests
    status, said = run(hub, tmp_path / "other", "pull", "me/shoes", "--out", "x", **offline)
    assert status == 1
    assert "me/shoes: the Hub cannot be reached, and the cache does not have it" in said


def test_what_a_killed_push_has_left_is_removed(hub: HubServer, shared: Path, tmp_path: Path) -> None:
    left = shared / ".config.json.1-00000000.tmp"
    left.write_text("{")
    status, said = run(hub, tmp_path / "cache", "push", shared, "me/shoes")
    assert status == 0, said
    assert not left.exists()


def test_a_private_repository_and_a_branch(hub: HubServer, shared: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    status, said = run(hub, cache, "push", shared, "me/shoes", "--private")
    assert status == 0, said
    assert hub.private == {"me/shoes"}
    status, said = run(hub, tmp_path / "b", "pull", "me/shoes", "--out", tmp_path / "x", HF_TOKEN="hf_other")
    assert status == 1
    assert "me/shoes: there is no such model on the Hub, or it is private" in said
    status, said = run(hub, cache, "push", shared, "me/shoes", HF_TOKEN="hf_other")
    assert status == 1
    assert "me/shoes" in said
    hub.repositories["me/shoes"].refs["v2"] = ""
    status, said = run(hub, cache, "push", shared, "me/shoes@v2")
    assert status == 0, said
    assert hub.repositories["me/shoes"].refs["v2"] != ""
    status, said = run(hub, cache, "pull", "me/shoes@v3", "--out", tmp_path / "x")
    assert (status, "the model has no revision 'v3'" in said) == (1, True), said
    assert not (tmp_path / "x").exists()


def changed(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def test_one_changed_byte_is_refused(hub: HubServer, shared: Path, tmp_path: Path) -> None:
    """In each of the files, on the server; and in the cache."""
    files = {path.name: path.read_bytes() for path in shared.iterdir()}
    repository = hub.repositories["me/shoes"] = Repository()
    for name, content in files.items():
        repository.commit(files | {name: changed(content, len(content) // 2)})
        status, said = run(hub, tmp_path / f"cache-{name}", "pull", "me/shoes", "--out", tmp_path / "x")
        assert status == 1, name
        assert name in said
        assert not (tmp_path / "x").exists()
    repository.commit(files)
    cache = tmp_path / "cache"
    assert run(hub, cache, "pull", "me/shoes", "--out", tmp_path / "x")[0] == 0
    (blob,) = (path for path in cache.rglob("README.md"))
    blob.resolve().write_bytes(changed(files["README.md"], 100))
    status, said = run(hub, cache, "hf://me/shoes", code=SAMPLE)
    assert status == 1
    assert "the copy in the cache is damaged: remove" in said


@pytest.mark.parametrize("name", ["../evil", "a/b", ".netrc", "/etc/passwd", "x" * 200])
def test_only_files_of_a_model_are_asked_for(hub: HubServer, shared: Path, tmp_path: Path, name: str) -> None:
    from tandem.checkpoint.manifest import Seal, hash_of_sealed  # noqa: PLC0415

    values: dict[str, Any] = json.loads((shared / "config.json").read_text())
    values["seal"] = {"files": values["seal"]["files"] | {name: "0" * 64}, "sha256": "0" * 64}
    text = json.dumps(values)
    digest = hash_of_sealed(text, Seal(files={}, sha256="0" * 64))
    files = {path.name: path.read_bytes() for path in shared.iterdir()}
    # The hash of the name comes first, so the seal's own is put in by its place.
    head, _, tail = text.rpartition("0" * 64)
    hub.repositories["me/shoes"] = Repository()
    hub.repositories["me/shoes"].commit(files | {"config.json": f"{head}{digest}{tail}".encode()})
    status, said = run(hub, tmp_path / "cache", "pull", "me/shoes", "--out", tmp_path / "x")
    assert status == 1
    assert "is no file of a shared model" in said, said
    assert not any("evil" in one or "passwd" in one or "netrc" in one for one in hub.requests)


def test_what_is_no_model_there(hub: HubServer, tmp_path: Path) -> None:
    hub.repositories["me/other"] = Repository()
    hub.repositories["me/other"].commit({"pytorch_model.bin": b"x"})
    status, said = run(hub, tmp_path, "pull", "me/other", "--out", tmp_path / "x")
    assert (status, "it holds no model of Tandem" in said) == (1, True), said
    status, said = run(hub, tmp_path, "pull", "shoes")
    assert (status, "'shoes' is no model on the Hub: write USER/NAME" in said) == (2, True), said
