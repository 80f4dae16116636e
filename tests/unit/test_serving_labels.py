"""The service with a model of label maps: indices and colours in, indices with a palette out."""

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("starlette", reason="the extra 'serve' is not installed")
pytest.importorskip("python_multipart", reason="the extra 'serve' is not installed")

from starlette.testclient import TestClient

import tandem
from serving_client import LOCAL, application
from tandem.config.classes import LabelClasses, read_classes
from tandem.data.array_files import encoded
from tandem.data.formats.carried import Carried
from tandem.data.label_maps import coloured
from tandem.data.levels import levels_of_classes

MakeBundle = Callable[..., Path]
WITH_COLOURS = read_classes('[["a",[3],"#ff0000"],["b",[0],"#00ff00"],["c",[90],"#0000ff"]]', "--classes-a")
WITHOUT = read_classes('[["a",[3]],["b",[0]],["c",[90]]]', "--classes-a")


@pytest.mark.parametrize("classes", [WITH_COLOURS, WITHOUT])
def test_labels_in_and_out(make_bundle: MakeBundle, classes: LabelClasses) -> None:
    levels = levels_of_classes(classes)
    bundle = make_bundle("labels", channels=(3, 3), input_levels=levels, output_levels=levels)
    indices = np.array([3, 0, 90], np.uint8)[np.random.default_rng(0).integers(0, 3, (16, 16, 1))]
    client = TestClient(application({"model": bundle}, max_batch=1), base_url=LOCAL)
    sent = {
        "indices": encoded(indices, ".png"),
        "palette": encoded(indices, ".png", Carried(palette={3: (1, 2, 3), 90: (4, 5, 6)})),
        "colours": encoded(coloured(classes, indices), ".png"),
    }
    expected = tandem.load(bundle, max_batch=1, device="cpu")(indices, 1, output="values")[0, :, :, 0]
    with client:
        for data in sent.values():
            answer = client.post("/v1/translate", files={"image": data}, data={"num_samples": "1"})
            assert answer.status_code == 200, answer.text
            picture = Image.open(io.BytesIO(answer.content))
            assert picture.mode == ("P" if classes.has_colours else "L")
            assert np.array_equal(np.array(picture), expected)
        form = {"num_samples": "1", "format": "json"}
        shown = client.post("/v1/translate", files={"image": sent["indices"]}, data=form).json()
        picture = Image.open(io.BytesIO(base64.b64decode(shown["outputs"][0])))
        assert np.array_equal(np.array(picture.convert("RGB")), coloured(classes, expected[:, :, None]))
        strange = encoded(np.full((16, 16, 1), 7, np.uint8), ".png")
        refused = client.post("/v1/translate", files={"image": strange}, data={})
        assert refused.status_code in {400, 422}
        assert "value 7, which is no class" in refused.json()["error"]["message"]
        told = client.get("/v1/models/model").json()["values"]["AtoB"][0]
        assert [one["value"] for one in told["classes"]] == [3, 0, 90]
        assert told["ignored"] is None
        tensor = {"name": "image", "datatype": "UINT8", "shape": [16, 16, 1], "data": indices.ravel().tolist()}
        body = json.dumps({"inputs": [tensor], "parameters": {"num_samples": 1}})
        answer = client.post("/v2/models/model/infer", content=body).json()
        (outputs,) = [one for one in answer["outputs"] if one["name"] == "outputs"]
        assert np.array_equal(np.array(outputs["data"]).reshape(16, 16), expected)
