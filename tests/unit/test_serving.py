"""The service gives what `tandem.load` gives, whatever its neighbours ask for, and refuses what it must."""

import io
import json
import shutil
import struct
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("starlette", reason="the extra 'serve' is not installed")
pytest.importorskip("uvicorn", reason="the extra 'serve' is not installed")
pytest.importorskip("python_multipart", reason="the extra 'serve' is not installed")

import httpx
from PIL import Image
from starlette.testclient import TestClient

import tandem
from cyclegan_bundle import make_cyclegan
from serving_client import LOCAL, application, opened, outputs, pictures, pixels, png, serving, text
from tandem.errors import BundleError, DataError
from tandem.inference.translator import Translator
from tandem.serving import sources
from tandem.serving.app import Access
from tandem.serving.limits import Limits
from tandem.serving.sources import name_models

MakeBundle = Callable[..., Path]


@contextmanager
def client(app: Any, **headers: str) -> Iterator[TestClient]:
    with TestClient(app, base_url=LOCAL, headers=headers, raise_server_exceptions=False) as opened_client:
        yield opened_client


def test_every_form_of_a_request_gives_what_the_library_gives(make_bundle: MakeBundle) -> None:
    bundle, frame = make_bundle("shoes"), pixels(0, 24, 32)
    expected = tandem.load(bundle, device="cpu", max_batch=1)(frame, 3, seed=5, output="array")
    data = png(frame)
    values = {"num_samples": 3, "seed": 5, "format": "json"}
    with client(application({"shoes": bundle}, max_batch=1)) as ask:
        forms = [
            ask.post("/v1/translate", json={"image": text(data), **values}),
            ask.post("/v1/translate", json={"image": f"data:image/png;base64,{text(data)}", **values}),
            ask.post("/v1/translate", files={"image": ("a.png", data)}, data={k: str(v) for k, v in values.items()}),
            ask.post("/v1/translate", content=data, headers={"content-type": "image/png"}, params=values),
        ]
        for answer in forms:
            np.testing.assert_array_equal(outputs(answer), expected)
        z = forms[0].json()["z"]
        again = ask.post("/v1/translate", json={"image": text(data), "z": z, "format": "json"})
        np.testing.assert_array_equal(outputs(again), expected)

        zipped = ask.post("/v1/translate", json={"image": text(data), **values, "format": None})
        with zipfile.ZipFile(io.BytesIO(zipped.content)) as archive:
            names = archive.namelist()
            np.testing.assert_array_equal(np.stack([opened(archive.read(name)) for name in names[:3]]), expected)
            assert json.loads(archive.read("outputs.json"))["z"] == z
        arrays = np.load(
            io.BytesIO(ask.post("/v1/translate", json={"image": text(data), **values, "format": "npz"}).content)
        )
        np.testing.assert_array_equal(arrays["outputs"], expected)
        np.testing.assert_array_equal(arrays["z"], np.float32(z))
        single = ask.post("/v1/translate", json={"image": text(data), "num_samples": 1, "seed": 5})
        assert single.headers["content-type"] == "image/png"
        np.testing.assert_array_equal(opened(single.content), expected[0])


def test_modes_encoder_spread_and_latents_are_those_of_the_library(make_bundle: MakeBundle) -> None:
    bundle, frame, style = make_bundle("shoes"), pixels(0), pixels(1)
    translator = tandem.load(bundle, device="cpu", max_batch=1)
    mu, logvar = translator.encode(style)
    data, reference = text(png(frame)), text(png(style))
    with client(application({"shoes": bundle}, max_batch=1)) as ask:
        encoded = ask.post("/v1/encode", json={"image": reference}).json()
        np.testing.assert_array_equal(np.float32(encoded["mu"]), mu)
        np.testing.assert_array_equal(np.float32(encoded["logvar"]), logvar)
        answer = ask.post(
            "/v1/translate",
            json={"image": data, "mode": "reference", "reference": reference, "num_samples": 1, "format": "json"},
        )
        np.testing.assert_array_equal(outputs(answer), translator(frame, z=mu, output="array"))
        between = {"image": data, "mode": "interpolate", "num_samples": 4, "seed": 3, "format": "json"}
        np.testing.assert_array_equal(
            outputs(ask.post("/v1/translate", json=between)), translator.interpolate(frame, 4, seed=3, output="array")
        )
        ends = translator.sample_z(2, seed=8)
        given = outputs(ask.post("/v1/translate", json={**between, "z": ends.tolist()}))
        way = translator.interpolate(frame, 4, start=ends[0], end=ends[1], output="array")
        np.testing.assert_array_equal(given, way)
        drawn = ask.get("/v1/latents", params={"num_samples": 4, "seed": 9}).json()
        np.testing.assert_array_equal(np.float32(drawn["z"]), translator.sample_z(4, seed=9))
        spread = ask.post("/v1/spread", json={"image": data, "num_samples": 6, "seed": 2})
        expected = translator.spread(frame, num_samples=6, seed=2)
        np.testing.assert_array_equal(pictures(spread)[0], np.rint(255 * expected.mean).astype(np.uint8))
        assert spread.json()["pictures"] == ["mean", "width", "guessed"]
        small = ask.post("/v1/translate", json={"image": data, "size": "8x16", "num_samples": 1})
        assert opened(small.content).shape == (8, 16, 3)


def test_both_directions_and_dropout(make_bundle: MakeBundle, tmp_path: Path) -> None:
    make_cyclegan(tmp_path / "horses")
    frame = pixels(0)
    with client(application({"horses": tmp_path / "horses"}, max_batch=1)) as ask:
        for direction in ("AtoB", "BtoA"):
            answer = ask.post(
                "/v1/translate", json={"image": text(png(frame)), "direction": direction, "format": "json"}
            )
            expected = tandem.load(tmp_path / "horses", device="cpu")(frame, direction=direction, output="array")
            np.testing.assert_array_equal(outputs(answer), expected)
            assert answer.json()["z"] is None
        refused = ask.post("/v1/translate", json={"image": text(png(frame)), "num_samples": 2})
        assert refused.status_code == 422
        assert "one output for an input" in refused.json()["error"]["message"]


def mixed_requests(number: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    sizes = [(16, 16), (24, 32), (16, 16), (16, 48)]
    return [
        {"frame": pixels(i, *sizes[i % 4]), "seed": int(rng.integers(99)), "num_samples": int(rng.integers(1, 7))}
        for i in range(number)
    ]


@pytest.mark.parametrize(("max_batch", "levels"), [(1, 0), ("auto", 1), (7, 1)])
def test_results_do_not_depend_on_neighbours(make_bundle: MakeBundle, max_batch: Any, levels: int) -> None:
    """Bit for bit with batches of one sample; else within one level, which is what other batches leave of rounding."""
    bundle = make_bundle("shoes")
    translator = tandem.load(bundle, device="cpu", max_batch=1)
    wanted = mixed_requests(40)
    app = application({"shoes": bundle}, max_batch=max_batch)
    with serving(app) as address, httpx.Client(base_url=address, timeout=60) as ask:

        def one(request: dict[str, Any]) -> np.ndarray:
            body = {"image": text(png(request["frame"])), "format": "json"} | {
                name: request[name] for name in ("seed", "num_samples")
            }
            return outputs(ask.post("/v1/translate", json=body))

        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(one, wanted))
        numbers = ask.get("/metrics").text
    for request, answer in zip(wanted, answers, strict=True):
        expected = translator(request["frame"], request["num_samples"], seed=request["seed"], output="array")
        assert answer.shape == expected.shape
        assert np.abs(answer.astype(int) - expected).max() <= levels
    samples = sum(request["num_samples"] for request in wanted)
    assert f'tandem_samples_total{{model="shoes"}} {samples}' in numbers
    (batches,) = (
        int(line.split()[1]) for line in numbers.splitlines() if line.startswith("tandem_batch_samples_count")
    )
    assert (batches == samples) == (max_batch == 1), "samples of several requests go through the network together"


class Gate:
    """Holds the networks back until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open, self.entered, self.frames = threading.Event(), threading.Event(), []
        original = Translator.translate_frames

        def gated(translator: Translator, frames: np.ndarray, z: np.ndarray, **how: Any) -> np.ndarray:
            self.frames += [int(frame[0, 0, 0]) for frame in frames]
            self.entered.set()
            assert self.open.wait(30)
            return original(translator, frames, z, **how)

        monkeypatch.setattr(Translator, "translate_frames", gated)


def test_a_full_queue_answers_429(make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(monkeypatch)
    app = application({"shoes": make_bundle("shoes")}, limits=Limits(max_waiting=2))
    body = {"image": text(png(pixels(0))), "num_samples": 1}
    with serving(app) as address, httpx.Client(base_url=address, timeout=30) as ask, ThreadPoolExecutor(2) as pool:
        running = [pool.submit(ask.post, "/v1/translate", json=body) for _ in range(2)]
        try:
            for _ in range(200):
                if "tandem_requests_admitted 2" in ask.get("/metrics").text:
                    break
                time.sleep(0.02)
            refused = ask.post("/v1/translate", json=body)
            assert refused.status_code == 429
            assert refused.json()["error"]["code"] == "busy"
            assert 1 <= int(refused.headers["retry-after"]) <= 60
            assert ask.get("/healthz").status_code == 200, "it still answers others"
        finally:
            gate.open.set()
        assert [one.result().status_code for one in running] == [200, 200]
        assert ask.post("/v1/translate", json=body).status_code == 200, "places are free again"


def test_a_client_that_leaves_frees_its_place_and_is_not_computed(
    make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    app = application({"shoes": make_bundle("shoes")}, limits=Limits(max_waiting=2))

    def body(value: int) -> dict[str, Any]:
        return {"image": text(png(np.full((16, 16, 3), value, np.uint8))), "num_samples": 1}

    with serving(app) as address, ThreadPoolExecutor(2) as pool, httpx.Client(base_url=address, timeout=30) as ask:
        try:
            first = pool.submit(ask.post, "/v1/translate", json=body(1))
            assert gate.entered.wait(20)
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(f"{address}/v1/translate", json=body(2), timeout=0.5)  # leaves while it waits
            for _ in range(200):
                if "tandem_requests_admitted 1" in ask.get("/metrics").text:
                    break
                time.sleep(0.02)
            last = pool.submit(httpx.post, f"{address}/v1/translate", json=body(3), timeout=30)
            time.sleep(0.3)
        finally:
            gate.open.set()
        assert (first.result().status_code, last.result().status_code) == (200, 200)
    assert gate.frames == [1, 3]


def test_time_limit(make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(monkeypatch)
    with client(application({"shoes": make_bundle("shoes")}, limits=Limits(time_limit=0.3))) as ask:
        try:
            answer = ask.post("/v1/translate", json={"image": text(png(pixels(0)))})
        finally:
            gate.open.set()
        assert answer.status_code == 504
        assert answer.json()["error"]["code"] == "time"


def test_one_request_that_fails_leaves_its_neighbours_alone(
    make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    original = Translator.translate_frames

    def breaking(translator: Translator, frames: np.ndarray, z: np.ndarray, **how: Any) -> np.ndarray:
        if (frames == 66).all(axis=(1, 2, 3)).any():
            raise RuntimeError("secret at /home/somebody")
        return original(translator, frames, z, **how)

    monkeypatch.setattr(Translator, "translate_frames", breaking)
    with serving(application({"shoes": make_bundle("shoes")}, max_batch=8)) as address:

        def ask(value: int) -> httpx.Response:
            image = text(png(np.full((16, 16, 3), value, np.uint8)))
            return httpx.post(f"{address}/v1/translate", json={"image": image, "num_samples": 2}, timeout=30)

        values = [66 if i % 4 == 0 else i for i in range(16)]
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(ask, values))
    assert [answer.status_code for answer in answers] == [500 if value == 66 else 200 for value in values]
    broken = answers[0]
    assert "secret" not in broken.text
    assert broken.headers["x-request-id"] in broken.json()["error"]["message"]
    assert "secret" in caplog.text, "the log says what the answer does not"


def test_too_little_memory_is_said(
    make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is neither a fault of the service nor of the image, and the next request is answered."""
    translate = Translator.translate_frames
    monkeypatch.setattr(Translator, "translate_frames", lambda *_, **__: np.empty(2**58, np.uint8))
    with client(application({"shoes": make_bundle("shoes")})) as ask:
        files = {"image": ("a.png", png(pixels(0)))}
        refused = ask.post("/v1/translate?num_samples=1", files=files)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "memory")
        assert "fewer samples or a smaller size" in refused.json()["error"]["message"]
        assert "288,230,376.2 GB were asked for at once" in caplog.text
        assert "Traceback" not in caplog.text
        monkeypatch.setattr(Translator, "translate_frames", translate)
        assert ask.post("/v1/translate?num_samples=1", files=files).status_code == 200


def test_a_size_that_cannot_be_planned_is_the_trouble_of_its_request(
    make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Translator.frames_at_once

    def planning(translator: Translator, height: int, width: int, **how: Any) -> int:
        if height == 8:
            raise DataError("no input of this size")
        return original(translator, height, width, **how)

    monkeypatch.setattr(Translator, "frames_at_once", planning)
    with client(application({"shoes": make_bundle("shoes")})) as ask:
        answers = [ask.post("/v1/translate", json={"image": text(png(pixels(0, height)))}) for height in (8, 16)]
    assert [answer.status_code for answer in answers] == [422, 200]


def bomb(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def tiff(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (width, height)).save(buffer, "TIFF", compression="tiff_adobe_deflate")
    return buffer.getvalue()


def test_bombs_are_refused_undecoded(make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    large = tiff(2000, 2000)
    with client(application({"shoes": make_bundle("shoes")}, limits=Limits(max_megapixels=1))) as ask:
        monkeypatch.setattr(Image.Image, "load", lambda *_: pytest.fail("it was decoded"))
        for data in (bomb(30_000, 30_000), bomb(1001, 1000), large):
            answer = ask.post("/v1/translate", content=data, headers={"content-type": "image/png"})
            assert answer.status_code == 422
            assert "too large" in answer.json()["error"]["message"]


def test_what_cannot_be_used_is_refused_with_a_reason(make_bundle: MakeBundle) -> None:
    data = text(png(pixels(0)))
    limits = Limits(max_megabytes=0.05, max_megapixels=0.001, max_samples=8)
    cases: list[tuple[dict[str, Any], int, str]] = [
        ({}, 422, "there is no 'image'"),
        ({"image": "?"}, 422, "not base64"),
        ({"image": text(b"GIF89a broken")}, 422, "image data"),
        ({"image": data, "num_samples": 0}, 422, "from 1 to 8"),
        ({"image": data, "num_samples": 9}, 422, "from 1 to 8"),
        ({"image": data, "num_samples": True}, 422, "an integer"),
        ({"image": data, "seed": 10**400}, 422, "an integer"),
        ({"image": data, "seed": "1e3"}, 422, "an integer"),
        ({"image": data, "z": [1, 2, 3]}, 422, "expected (2,)"),
        ({"image": data, "z": [[1, 2], [3]]}, 422, "of one length"),
        ({"image": data, "z": [[1, "a"]]}, 422, "of one length"),
        ({"image": data, "z": [[0, 0]] * 9}, 422, "at most 8"),
        ({"image": data, "z": [[0, 1e300]]}, 422, "list of numbers"),
        ({"image": data, "seeed": 1}, 422, "Did you mean seed?"),
        ({"image": data, "mode": "other"}, 422, "random, interpolate or reference"),
        ({"image": data, "mode": "reference"}, 422, "needs a 'reference'"),
        ({"image": data, "mode": "interpolate", "num_samples": 1}, 422, "at least 2"),
        ({"image": data, "size": "999x999"}, 422, "pixels"),
        ({"image": data, "direction": "BtoA"}, 422, "AtoB"),
        ({"image": data, "num_samples": 2, "format": "png"}, 422, "one picture"),
        ({"image": data, "model": "../../etc"}, 404, "there is no model"),
        ({"image": "A" * 60_000}, 413, "too large"),
    ]
    with client(application({"shoes": make_bundle("shoes")}, limits=limits)) as ask:
        for body, status, message in cases:
            answer = ask.post("/v1/translate", json=body)
            assert (answer.status_code, message in answer.json()["error"]["message"]) == (status, True), (
                body,
                answer.text,
            )
        chunks = (b"x" * 10_000 for _ in range(9))  # no Content-Length
        assert ask.post("/v1/translate", content=chunks, headers={"content-type": "image/png"}).status_code == 413
        others = [
            (ask.post("/v1/translate", content=b"{", headers={"content-type": "application/json"}), 400),
            (ask.post("/v1/translate", content=b"[" * 9000, headers={"content-type": "application/json"}), 400),
            (ask.post("/v1/translate", content=b"x", headers={"content-type": "text/plain"}), 415),
            (ask.post("/v1/translate", content=b"x", headers={"content-type": "multipart/form-data"}), 400),
            (ask.post("/v1/translate", data={"image": "no file"}, files={"reference": ("r", b"x")}), 422),
            (ask.get("/v1/translate"), 405),
            (ask.get("/../../etc/passwd"), 404),
            (ask.get("/v1/models/..%2f..%2fetc"), 404),
            (ask.get("/index.html/"), 404),
        ]
        for answer, status in others:
            assert answer.status_code == status, answer.text
            assert answer.json()["error"]["message"]


def test_who_may_ask(make_bundle: MakeBundle) -> None:
    bundle = make_bundle("shoes")
    app = application({"shoes": bundle}, access=Access(token="secret", origins=("https://friend.example",)))
    bearer = {"authorization": "Bearer secret"}
    with client(app) as ask:
        for path in ("/v1/models", "/metrics", "/openapi.json", "/v1/models/shoes"):
            assert ask.get(path).status_code == 401
            assert ask.get(path, headers={"authorization": "Bearer secrets"}).status_code == 401
            assert ask.get(path, headers=bearer).status_code == 200
        for path in ("/", "/healthz", "/readyz"):
            assert ask.get(path).status_code == 200
        assert ask.get("/v1/models", headers={**bearer, "host": "evil.example"}).status_code == 421
        foreign = ask.get("/v1/models", headers={**bearer, "origin": "https://evil.example"})
        assert foreign.status_code == 403
        assert "access-control-allow-origin" not in foreign.headers
        own = ask.get("/v1/models", headers={**bearer, "origin": LOCAL})
        assert own.status_code == 200
        assert "access-control-allow-origin" not in own.headers
        friend = ask.get("/v1/models", headers={**bearer, "origin": "https://friend.example"})
        assert friend.headers["access-control-allow-origin"] == "https://friend.example"
        asked = ask.options("/v1/translate", headers={"origin": "https://friend.example"})
        assert (asked.status_code, asked.headers["access-control-allow-methods"]) == (204, "GET, POST")


def test_headers_and_logs(make_bundle: MakeBundle, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with client(application({"shoes": make_bundle("shoes")})) as ask:
        page = ask.get("/")
        policy = page.headers["content-security-policy"]
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert page.headers["x-content-type-options"] == "nosniff"
        image = png(np.full((16, 16, 3), 7, np.uint8))
        ask.post("/v1/translate", content=image, headers={"content-type": "image/png"}, params={"seed": "424242"})
    told = [record.getMessage() for record in caplog.records if record.name.startswith("tandem")]
    assert any("POST /v1/translate 200" in line for line in told)
    assert not any("424242" in line for line in told)


def test_a_bundle_is_replaced_while_it_is_served(make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = make_bundle("shoes")
    other = make_bundle("other", generator={"filters": 6})
    body = {"image": text(png(pixels(0))), "num_samples": 2, "format": "json"}

    def replace(source: Path) -> None:
        for file in source.glob("weights-*"):
            shutil.copy(file, bundle)
        shutil.copy(source / "model.json", bundle / "model.json.new")
        (bundle / "model.json.new").replace(bundle / "model.json")

    with client(application({"shoes": bundle}, max_batch=1)) as ask:
        before = ask.post("/v1/translate", json=body)
        (bundle / "model.json").write_text("{")
        assert ask.post("/v1/translate", json=body).json()["version"] == before.json()["version"]
        time.sleep(0.2)
        assert ask.post("/v1/translate", json=body).json()["version"] == before.json()["version"], "the old one goes on"
        replace(other)
        after = ask.post("/v1/translate", json=body)
        assert after.json()["version"] != before.json()["version"], "the next request gets the new one"
        expected = tandem.load(other, device="cpu", max_batch=1)(pixels(0), 2, output="array")
        np.testing.assert_array_equal(outputs(after), expected)


def test_several_models_and_which_stay_in_memory(make_bundle: MakeBundle) -> None:
    paths = {name: make_bundle(name) for name in ("a", "b", "c")}
    loads: list[str] = []

    def load_model(path: Path) -> Translator:
        loads.append(path.name)
        return tandem.load(path, device="cpu")

    room = 2 * sources.weight_bytes(paths["a"])
    with client(application(paths, max_bytes=room, load_model=load_model)) as ask:
        assert ask.get("/v1/models").json()["models"] == ["a", "b", "c"]
        assert loads == ["a", "b"]
        assert [ask.get(f"/v1/models/{name}").json()["name"] for name in "abc"] == ["a", "b", "c"]
        assert loads == ["a", "b", "c"]
        ask.get("/v1/models/b")
        ask.get("/v1/models/a")
        assert loads == ["a", "b", "c", "a"], "the least recently used one had to go"
        assert "tandem_models_loaded 2" in ask.get("/metrics").text


def test_names_of_models(make_bundle: MakeBundle, tmp_path: Path) -> None:
    first, second = make_bundle("runs/shoes/model"), make_bundle("old/shoes")
    named = name_models([first.parent, second, first])
    assert list(named) == ["shoes", "shoes-2", "shoes-3"]
    with pytest.raises(BundleError, match="no model at"):
        name_models([tmp_path / "nowhere"])


def test_the_openapi_document_holds(make_bundle: MakeBundle) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    with client(application({"shoes": make_bundle("shoes")})) as ask:
        described = ask.get("/openapi.json").json()

        def check(schema: dict[str, Any], value: Any) -> None:
            jsonschema.Draft202012Validator({**schema, "components": described["components"]}).validate(value)

        for path, methods in described["paths"].items():
            for method, operation in methods.items():
                if method == "get":
                    answer = ask.get(path.replace("{name}", "shoes"))
                else:
                    (example,) = (c["example"] for c in operation["requestBody"]["content"].values() if "example" in c)
                    answer = ask.post(path.replace("{name}", "shoes"), json=example)
                assert answer.status_code == 200, (path, answer.text)
                kind = answer.headers["content-type"].partition(";")[0]
                schema = operation["responses"]["200"]["content"][kind]["schema"]
                if kind == "application/json":
                    check(schema, answer.json())
        refused = ask.post("/v1/translate", json={})
        responses = described["paths"]["/v1/translate"]["post"]["responses"]
        check(responses["422"]["content"]["application/json"]["schema"], refused.json())
