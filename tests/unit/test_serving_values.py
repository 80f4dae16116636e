"""What goes in and comes out keeps its type: 16 bits, signed values and many channels are those of the library."""

import base64
import io
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("starlette", reason="the extra 'serve' is not installed")
pytest.importorskip("python_multipart", reason="the extra 'serve' is not installed")

from starlette.testclient import TestClient

import tandem
from serving_client import LOCAL, application, opened, pixels, png, text
from tandem.data.array_files import encoded
from tandem.data.images import read_native
from tandem.data.levels import Levels
from tandem.serving.limits import Limits

MakeBundle = Callable[..., Path]
HEADER = "Inference-Header-Content-Length"
HEIGHTS = Levels("int16", (-1000.0,), (3000.0,))
BANDS = Levels("float32", (0.0,) * 5, (1.0, 2.0, 3.0, 4.0, 5.0))


def sixteen(seed: int, channels: int = 3, size: int = 16) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 65536, (size, size, channels), dtype=np.uint16)


def heights(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-1500, 3500, (16, 24, 1), dtype=np.int16)


def bands(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((16, 16, 5), dtype=np.float32) * np.arange(1, 6, dtype=np.float32)


MODELS: dict[str, tuple[Levels, Callable[[int], np.ndarray], tuple[str, ...]]] = {
    "sixteen": (Levels("uint16"), sixteen, (".png", ".tif", ".npz", ".npy")),
    "heights": (HEIGHTS, heights, (".tif", ".npz")),
    "bands": (BANDS, bands, (".tif", ".npy")),
}


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest, make_bundle: MakeBundle) -> tuple[Path, np.ndarray, tuple[str, ...]]:
    levels, make, suffixes = MODELS[request.param]
    frame = make(0)
    channels = (frame.shape[2], frame.shape[2])
    return make_bundle(request.param, channels=channels, input_levels=levels, output_levels=levels), frame, suffixes


def client(bundle: Path, **options: Any) -> TestClient:
    return TestClient(application({"model": bundle}, max_batch=1, **options), base_url=LOCAL)


def test_outputs_are_those_of_the_library_in_every_format(model: tuple[Path, np.ndarray, tuple[str, ...]]) -> None:
    bundle, frame, suffixes = model
    expected = tandem.load(bundle, device="cpu", max_batch=1)(frame_file(frame), 2, seed=4, output="values")
    assert expected.dtype == frame.dtype
    with client(bundle) as ask:
        for suffix in suffixes:
            answer = ask.post(
                "/v1/translate",
                content=encoded(frame, suffix),
                headers={"content-type": "image/x-any"},
                params={"num_samples": 2, "seed": 4, "format": "npz"},
            )
            assert answer.status_code == 200, answer.text
            found = np.load(io.BytesIO(answer.content))["outputs"]
            np.testing.assert_array_equal(found, expected)
            assert found.dtype == expected.dtype
        data = encoded(frame, suffixes[0])
        zipped = ask.post("/v1/translate", json={"image": text(data), "num_samples": 2, "seed": 4})
        with zipfile.ZipFile(io.BytesIO(zipped.content)) as archive:
            suffix = "png" if ".png" in suffixes else "tif"
            for index, output in enumerate(expected):
                found = read_native(io.BytesIO(archive.read(f"{index + 1:03d}.{suffix}")))
                np.testing.assert_array_equal(found, output)
        one = {"image": text(data), "num_samples": 1, "seed": 4}
        single = ask.post("/v1/translate", json=one)
        assert single.headers["content-type"] == f"image/{'png' if suffix == 'png' else 'tiff'}"
        for answer in (single, *(ask.post("/v1/translate", json=one | {"format": kind}) for kind in ("tif", "npy"))):
            np.testing.assert_array_equal(read_native(io.BytesIO(answer.content)), expected[0])
        told = ask.post("/v1/translate", json=one | {"format": "json"}).json()
        if suffix == "png":
            assert "values" not in told
            np.testing.assert_array_equal(read_native(io.BytesIO(base64.b64decode(told["outputs"][0]))), expected[0])
        else:
            np.testing.assert_array_equal(read_native(io.BytesIO(base64.b64decode(told["values"][0]))), expected[0])
            assert opened(base64.b64decode(told["outputs"][0])).dtype == np.uint8, "a picture to look at"
            assert ask.post("/v1/translate", json=one | {"format": "png"}).status_code == 422


def frame_file(frame: np.ndarray) -> bytes:
    return encoded(frame, ".npy")


def test_tensors_of_the_inference_protocol_have_the_type_of_the_model(
    model: tuple[Path, np.ndarray, tuple[str, ...]],
) -> None:
    bundle, frame, _ = model
    kind = {"uint16": "UINT16", "int16": "INT16", "float32": "FP32"}[str(frame.dtype)]
    expected = tandem.load(bundle, device="cpu", max_batch=1)(frame_file(frame), 2, seed=4, output="values")
    image = {"name": "image", "datatype": kind, "shape": list(frame.shape), "data": frame.reshape(-1).tolist()}
    with client(bundle) as ask:
        described = ask.get("/v2/models/model").json()
        assert [one["datatype"] for one in (described["inputs"][0], described["outputs"][0])] == [kind, kind]
        answer = ask.post(
            "/v2/models/model/infer", json={"inputs": [image], "parameters": {"seed": 4, "num_samples": 2}}
        )
        (found, _) = answer.json()["outputs"]
        assert found["datatype"] == kind
        np.testing.assert_array_equal(np.array(found["data"], frame.dtype).reshape(found["shape"]), expected)
        wrong = ask.post("/v2/models/model/infer", json={"inputs": [image | {"datatype": "FP64"}]})
        assert (wrong.status_code, kind in wrong.json()["error"]) == (422, True)


def test_values_that_are_not_finite_are_refused(make_bundle: MakeBundle) -> None:
    bundle = make_bundle("bands", channels=(5, 5), input_levels=BANDS, output_levels=BANDS)
    frame = bands(0)
    frame[3, 4, 1] = np.nan
    with client(bundle) as ask:
        answer = ask.post("/v1/translate", content=encoded(frame, ".tif"), headers={"content-type": "image/tiff"})
        assert (answer.status_code, answer.json()["error"]["message"].count("not finite")) == (422, 1)


def test_the_spread_and_the_encoder_take_the_same_values(make_bundle: MakeBundle) -> None:
    bundle = make_bundle("sixteen", input_levels=Levels("uint16"), output_levels=Levels("uint16"))
    translator = tandem.load(bundle, device="cpu", max_batch=1)
    frame = encoded(sixteen(0), ".png")
    with client(bundle) as ask:
        encoding = ask.post("/v1/encode", json={"image": text(frame)}).json()
        np.testing.assert_array_equal(np.float32(encoding["mu"]), translator.encode(frame)[0])
        spread = ask.post("/v1/spread", json={"image": text(frame), "num_samples": 4, "seed": 1})
        (mean, *_) = [opened(base64.b64decode(one)) for one in spread.json()["outputs"]]
        np.testing.assert_array_equal(mean, np.rint(255 * translator.spread(frame, num_samples=4, seed=1).mean))


def test_an_image_that_unpacks_to_many_channels_is_refused_unread(make_bundle: MakeBundle) -> None:
    """64 channels of float64 in as few bytes as a picture: more than a model of three channels needs."""
    wide = np.zeros((64, 64, 64))
    files = [encoded(wide, ".npz"), encoded(wide, ".tif"), encoded(np.zeros((64, 64, 5)), ".npy")]
    with client(make_bundle("shoes"), limits=Limits(max_megapixels=0.005)) as ask:
        for data in files:
            answer = ask.post("/v1/translate", content=data, headers={"content-type": "image/tiff"})
            assert answer.status_code == 422
            assert "at most 4 are read here" in answer.json()["error"]["message"]
    assert len(zlib.compress(wide.tobytes())) < 10_000


def test_what_outputs_may_hold_together_counts_channels(make_bundle: MakeBundle) -> None:
    bundle = make_bundle("bands", channels=(5, 40))
    image = text(encoded(sixteen(0, 5).astype(np.uint8), ".npy"))
    with client(bundle, limits=Limits(max_megapixels=0.0004, max_samples=8)) as ask:
        assert ask.post("/v1/translate", json={"image": image, "num_samples": 1}).status_code == 200
        refused = ask.post("/v1/translate", json={"image": image, "num_samples": 2})
        assert (refused.status_code, "40 channels" in refused.json()["error"]["message"]) == (413, True)


def test_a_picture_of_8_bits_is_taken_by_a_model_of_16(make_bundle: MakeBundle) -> None:
    bundle = make_bundle("sixteen", input_levels=Levels("uint16"), output_levels=Levels("uint16"))
    data = png(pixels(0))
    expected = tandem.load(bundle, device="cpu", max_batch=1)(data, 1, output="values")
    with client(bundle) as ask:
        answer = ask.post("/v1/translate", json={"image": text(data), "num_samples": 1})
        np.testing.assert_array_equal(read_native(io.BytesIO(answer.content)), expected[0])
