"""The Open Inference Protocol v2: in JSON, in its binary form, and by the clients that people have."""

import asyncio
import importlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("starlette", reason="the extra 'serve' is not installed")
pytest.importorskip("uvicorn", reason="the extra 'serve' is not installed")
pytest.importorskip("python_multipart", reason="the extra 'serve' is not installed")

from starlette.testclient import TestClient

import tandem
from serving_client import LOCAL, application, pixels, serving
from tandem.inference.translator import Translator

HEADER = "Inference-Header-Content-Length"


@pytest.fixture
def bundle(make_bundle: Callable[..., Path]) -> Path:
    return make_bundle("shoes")


@pytest.fixture
def translator(bundle: Path) -> Translator:
    return tandem.load(bundle, device="cpu", max_batch=1)


@pytest.fixture
def ask(bundle: Path) -> Iterator[TestClient]:
    app = application({"shoes": bundle}, max_batch=1)
    with TestClient(app, base_url=LOCAL, raise_server_exceptions=False) as client:
        yield client


def tensor(name: str, array: np.ndarray, *, is_binary: bool = False) -> dict[str, Any]:
    kind = {"uint8": "UINT8", "float32": "FP32"}[str(array.dtype)]
    described: dict[str, Any] = {"name": name, "datatype": kind, "shape": list(array.shape)}
    if is_binary:
        return described | {"parameters": {"binary_data_size": array.nbytes}}
    return described | {"data": array.reshape(-1).tolist()}


def test_json(ask: TestClient, translator: Translator) -> None:
    frame = pixels(0, 16, 24)
    body = {"id": "7", "inputs": [tensor("image", frame)], "parameters": {"seed": 3, "num_samples": 2}}
    answer = ask.post("/v2/models/shoes/infer", json=body).json()
    assert (answer["id"], answer["model_name"]) == ("7", "shoes")
    made = {one["name"]: np.array(one["data"]).reshape(one["shape"]) for one in answer["outputs"]}
    np.testing.assert_array_equal(made["outputs"], translator(frame, 2, seed=3, output="array"))
    np.testing.assert_array_equal(np.float32(made["z"]), translator.sample_z(2, seed=3))


def test_binary_without_a_type_of_content(ask: TestClient, translator: Translator) -> None:
    frame, z = pixels(0), np.float32([[0.5, -1], [2, 0]])
    head = {
        "inputs": [tensor("image", frame[None], is_binary=True), tensor("z", z, is_binary=True)],
        "outputs": [{"name": "outputs", "parameters": {"binary_data": True}}],
    }
    text = json.dumps(head).encode()
    answer = ask.post(
        "/v2/models/shoes/infer", content=text + frame.tobytes() + z.tobytes(), headers={HEADER: str(len(text))}
    )
    assert answer.status_code == 200, answer.text
    end = int(answer.headers[HEADER])
    (described,) = json.loads(answer.content[:end])["outputs"]
    made = np.frombuffer(answer.content[end:], np.uint8).reshape(described["shape"])
    np.testing.assert_array_equal(made, translator(frame, z=z, output="array"))


def test_what_clients_ask_first(ask: TestClient) -> None:
    assert ask.get("/v2").json()["extensions"] == ["binary_tensor_data"]
    for path in ("health/live", "health/ready", "models/shoes/ready"):
        assert ask.get(f"/v2/{path}").status_code == 200
    described = ask.get("/v2/models/shoes").json()
    assert described["inputs"][1] == {"name": "z", "datatype": "FP32", "shape": [-1, 2]}


def test_errors_are_texts(ask: TestClient) -> None:
    image = tensor("image", pixels(0))
    cases: list[tuple[dict[str, Any], int]] = [
        ({"inputs": []}, 422),
        ({"inputs": [image | {"datatype": "FP32"}]}, 422),
        ({"inputs": [image | {"shape": [16, 16, 4]}]}, 422),
        ({"inputs": [image | {"shape": [10**9, 10**9, 3]}]}, 422),
        ({"inputs": [image | {"data": [300] * 768}]}, 422),
        ({"inputs": [image | {"parameters": {"binary_data_size": 768}}]}, 422),
        ({"inputs": [image | {"name": "other"}]}, 422),
        ({"inputs": [image], "parameters": {"num_samples": 0}}, 422),
        ({"inputs": [image, tensor("z", np.zeros((1, 3), np.float32))]}, 422),
        ({"inputs": 3}, 400),
        ({}, 400),
    ]
    for body, status in cases:
        answer = ask.post("/v2/models/shoes/infer", json=body)
        assert answer.status_code == status, (body, answer.text)
        assert isinstance(answer.json()["error"], str)
    others = [
        (ask.post("/v2/models/none/infer", json={"inputs": [image]}), 404),
        (ask.get("/v2/models/shoes/infer"), 405),
        (ask.get("/v2/nothing"), 404),
        (ask.post("/v2/models/shoes/infer", content=b"{}", headers={HEADER: "99"}), 400),
    ]
    for answer, status in others:
        assert (answer.status_code, type(answer.json()["error"])) == (status, str)


def test_tritonclient(bundle: Path, translator: Translator) -> None:
    """Its binary form, as it sends it by default."""
    client: Any = importlib.import_module("tritonclient.http")  # brings gevent, so only here
    frame = pixels(0)
    with serving(application({"shoes": bundle}, max_batch=1)) as address:
        triton = client.InferenceServerClient(address.removeprefix("http://"))
        assert triton.is_server_live()
        assert triton.is_server_ready()
        assert triton.is_model_ready("shoes")
        assert not triton.is_model_ready("none")
        assert triton.get_server_metadata()["name"] == "tandem"
        described = triton.get_model_metadata("shoes")
        assert (described["name"], described["inputs"][0]["datatype"]) == ("shoes", "UINT8")
        image = client.InferInput("image", list(frame.shape), "UINT8")
        image.set_data_from_numpy(frame)
        z = client.InferInput("z", [2, 2], "FP32")
        z.set_data_from_numpy(translator.sample_z(2, seed=3))
        asked = [client.InferRequestedOutput("outputs", binary_data=False), client.InferRequestedOutput("z")]
        expected = translator(frame, 2, seed=3, output="array")
        for result in (
            triton.infer("shoes", [image], parameters={"seed": 3, "num_samples": 2}, request_id="1"),
            triton.infer("shoes", [image, z], outputs=asked),
        ):
            np.testing.assert_array_equal(result.as_numpy("outputs"), expected)
            np.testing.assert_array_equal(result.as_numpy("z"), translator.sample_z(2, seed=3))
        image.set_data_from_numpy(frame, binary_data=False)
        plain = triton.infer("shoes", [image], parameters={"seed": 3, "num_samples": 2})
        np.testing.assert_array_equal(plain.as_numpy("outputs"), expected)
        for name, parameters, message in (
            ("none", {}, "there is no model 'none'"),
            ("shoes", {"num_samples": 99}, "must be from 1 to 32"),
        ):
            with pytest.raises(client.InferenceServerException, match=message):
                triton.infer(name, [image], parameters=parameters)
        triton.close()


def test_kserve(bundle: Path, translator: Translator) -> None:
    """Its client for REST, with version 2 of the protocol."""
    kserve = pytest.importorskip("kserve")
    frame = pixels(0)
    expected = translator(frame, 2, seed=3, output="array")

    async def ask(address: str) -> None:
        client = kserve.InferenceRESTClient(kserve.RESTConfig(protocol="v2"))
        assert await client.is_server_live(address)
        assert await client.is_server_ready(address)
        assert await client.is_model_ready(address, "shoes")
        image = kserve.InferInput("image", list(frame.shape), "UINT8")
        image.set_data_from_numpy(frame, binary_data=True)
        request = kserve.InferRequest("shoes", [image], parameters={"seed": 3, "num_samples": 2})
        result = await client.infer(address, request, model_name="shoes")
        np.testing.assert_array_equal(result.outputs[0].as_numpy(), expected)
        with pytest.raises(Exception, match="there is no model 'none'"):
            await client.infer(address, kserve.InferRequest("none", [image]), model_name="none")
        await client.close()

    with serving(application({"shoes": bundle}, max_batch=1)) as address:
        asyncio.run(ask(address))
