"""A FastAPI handler around PyTorch, as one writes it first: ``python -m benchmarks.serving.plain MODEL PORT``."""

import io
import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import uvicorn
from fastapi import FastAPI, Form, UploadFile  # pyright: ignore[reportMissingImports]
from fastapi.responses import Response  # pyright: ignore[reportMissingImports]
from PIL import Image

from tandem.checkpoint.bundle import load_bundle


def make_app(model: Path) -> FastAPI:
    """The handler; FastAPI runs it in a pool of threads."""
    manifest, networks = load_bundle(model, device=torch.device("cpu"))
    generator, latent_dim = networks["generator"], manifest.networks["generator"].latent_dim  # type: ignore[union-attr]  # pyright: ignore
    app = FastAPI()

    @app.post("/v1/translate")
    def translate(image: UploadFile, seed: Annotated[int, Form()]) -> Response:
        picture = np.array(Image.open(io.BytesIO(image.file.read())).convert("RGB"))
        a = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 127.5 - 1
        z = torch.randn(1, latent_dim, generator=torch.Generator().manual_seed(seed))
        with torch.no_grad():
            b = generator(a, z)[0]
        output = ((b.permute(1, 2, 0) + 1) * 127.5).round().clamp(0, 255).byte().numpy()
        buffer = io.BytesIO()
        Image.fromarray(output).save(buffer, "PNG")
        return Response(buffer.getvalue(), media_type="image/png")

    @app.get("/readyz")
    def ready() -> dict[str, bool]:
        return {"ready": True}

    return app


if __name__ == "__main__":
    uvicorn.run(make_app(Path(sys.argv[1])), host="127.0.0.1", port=int(sys.argv[2]), log_level="warning")
