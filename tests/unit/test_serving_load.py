"""Many clients at once, models that are renewed meanwhile: every answer is right, and none is lost."""

import base64
import itertools
import json
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

pytest.importorskip("starlette", reason="the extra 'serve' is not installed")
pytest.importorskip("uvicorn", reason="the extra 'serve' is not installed")
pytest.importorskip("python_multipart", reason="the extra 'serve' is not installed")

import tandem
from serving_client import application, outputs, pixels, png, serving, text
from tandem.inference.runtime import Runtime
from tandem.serving.engine_choice import served_runtime

MakeBundle = Callable[..., Path]


def asked(index: int) -> dict[str, Any]:
    sizes = [(16, 16), (24, 32), (16, 48)]
    return {
        "image": text(png(pixels(index, *sizes[index % 3]))),
        "seed": index,
        "num_samples": 1 + index % 3,
        "format": "json",
    }


@pytest.mark.parametrize(("engine", "max_batch"), [("torch", 1), ("onnx", 1), ("onnx", "auto")])
def test_64_clients_and_several_threads_that_compute(make_bundle: MakeBundle, engine: Any, max_batch: Any) -> None:
    """With ``max_batch=1`` bit for bit what the library gives, whoever else asks; else within a level."""
    if engine == "onnx":
        pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed")
    bundle = make_bundle("shoes")
    translator = tandem.load(bundle, device="cpu", engine=engine, max_batch=1)
    app = application({"shoes": bundle}, engine=engine, max_batch=max_batch, num_workers=3)
    requests = [asked(index) for index in range(128)]
    with serving(app) as address, httpx.Client(base_url=address, timeout=60) as client:
        with ThreadPoolExecutor(64) as pool:
            answers = list(pool.map(lambda body: client.post("/v1/translate", json=body), requests))
        assert "tandem_requests_admitted 0" in client.get("/metrics").text
    assert [answer.status_code for answer in answers] == [200] * 128
    for body, answer in zip(requests, answers, strict=True):
        frame = base64.b64decode(body["image"])
        expected = translator(frame, body["num_samples"], seed=body["seed"], output="array")
        assert np.abs(outputs(answer).astype(int) - expected).max() <= (0 if max_batch == 1 else 1)


def test_a_model_renewed_under_load_is_the_old_or_the_new_one(make_bundle: MakeBundle) -> None:
    served = make_bundle("served")
    sources = [make_bundle("first"), make_bundle("second", generator={"filters": 6})]
    body = {**asked(0), "num_samples": 1}
    expected = {}
    for source in sources:
        translator = tandem.load(source, device="cpu", max_batch=1)
        expected[translator.manifest.weights.sha256[:16]] = translator(  # type: ignore[union-attr]  # pyright: ignore
            base64.b64decode(body["image"]), 1, seed=0, output="array"
        )

    def replace(source: Path) -> None:
        for file in source.glob("weights-*"):
            shutil.copy(file, served / f"{file.name}.new")
            (served / f"{file.name}.new").replace(served / file.name)
        shutil.copy(source / "model.json", served / "model.json.new")
        (served / "model.json.new").replace(served / "model.json")

    stop = threading.Event()
    replace(sources[0])

    def renew() -> None:
        for source in itertools.cycle(reversed(sources)):
            replace(source)
            if stop.wait(0.05):
                return

    app = application({"shoes": served}, max_batch=1, num_workers=2)
    with serving(app) as address, httpx.Client(base_url=address, timeout=60) as client:
        renewing = threading.Thread(target=renew)
        renewing.start()
        try:
            with ThreadPoolExecutor(8) as pool:
                answers = list(pool.map(lambda _: client.post("/v1/translate", json=body), range(80)))
        finally:
            stop.set()
            renewing.join()
    seen = set()
    for answer in answers:
        assert answer.status_code == 200, answer.text
        version = answer.json()["version"]
        seen.add(version)
        np.testing.assert_array_equal(outputs(answer), expected[version])
    assert len(seen) == 2


def test_onnx_files_are_served_and_renewed(make_bundle: MakeBundle, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed")
    from tandem.inference.onnx.export import export_onnx  # noqa: PLC0415

    file, body = tmp_path / "shoes.onnx", asked(0)
    frame = base64.b64decode(body["image"])
    bundles = [make_bundle("first"), make_bundle("second", generator={"filters": 6})]
    export_onnx(bundles[0], file)
    with serving(application({"shoes": file}, max_batch=1)) as address:
        for bundle in bundles:
            export_onnx(bundle, file)
            answer = httpx.post(f"{address}/v1/translate", json=body, timeout=60)
            expected = tandem.load(file, device="cpu", max_batch=1)(frame, body["num_samples"], seed=0, output="array")
            np.testing.assert_array_equal(outputs(answer), expected)


def test_which_engine_runs_a_model(make_bundle: MakeBundle) -> None:
    """ONNX Runtime on a CPU, unless it does not do what may be asked."""
    pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed")
    dropout = make_bundle("maps", with_encoder=False, generator={"latent_dim": 0, "injection": "none", "dropout": True})
    manifest = json.loads((dropout / "model.json").read_text())
    (dropout / "model.json").write_text(json.dumps(manifest | {"samples_with_noise": True}))
    shoes = make_bundle("shoes")

    def engine(path: Path, *, max_pixels: int = 10**6, **options: Any) -> str:
        return served_runtime(path, Runtime(**options), device="cpu", max_pixels=max_pixels).engine

    assert engine(shoes) == "onnx"
    assert engine(shoes, engine="torch") == "torch"
    assert engine(dropout) == "auto"
    assert engine(shoes, precision="bf16") == "auto"
    assert engine(shoes, tile=64) == "auto"
    assert engine(shoes, memory_gb=0.001) == "auto", "the largest image has to go in tiles"
    assert engine(shoes, memory_gb=0.001, max_pixels=1000) == "onnx"
