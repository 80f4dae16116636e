"""What Tandem needs to run, with every extra for users, is under licences that let anybody use and redistribute it."""

import importlib.metadata
import re
from collections.abc import Iterator

import pytest
from packaging.requirements import Requirement

EXTRAS = "browser,eval,hub,onnx,parquet,serve,sign,tensorboard,video,wandb,zarr"
ALLOWED = {
    *("Apache-2.0", "LLVM-exception", "MIT", "MIT-0", "MIT-CMU", "BSD-2-Clause", "BSD-3-Clause", "0BSD", "BSL-1.0"),
    *("CC0-1.0", "ISC", "MPL-2.0", "PSF-2.0", "Unlicense", "Zlib"),
}
"""By the identifiers of SPDX; MPL-2.0 obliges those who change the library itself, and no others."""
SAID_OTHERWISE = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
}
"""What stands in metadata in the place of an identifier."""
NOT_SAID = {"sigstore-models": "MIT"}
"""Of packages whose metadata say nothing: that of the text that comes with them."""


def needed() -> Iterator[importlib.metadata.Distribution]:
    """What is installed of Tandem's dependencies, and of theirs."""
    open_ones, known = [Requirement(f"tandem-gan[{EXTRAS}]")], set()
    while open_ones:
        asked = open_ones.pop()
        key = (re.sub(r"[-_.]+", "-", asked.name).lower(), frozenset(asked.extras))
        if key in known:
            continue
        known.add(key)
        try:
            found = importlib.metadata.distribution(asked.name)
        except importlib.metadata.PackageNotFoundError:  # an extra that this environment lacks
            continue
        yield found
        for text in found.requires or []:
            one = Requirement(text)
            if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in asked.extras or {""}):
                open_ones.append(one)


def licences_of(one: importlib.metadata.Distribution) -> set[str]:
    """The licences that a package names, all of them where it says A and B or A or B."""
    said = one.metadata.get("License-Expression")
    if not said:
        text = (one.metadata.get("License") or "").strip()
        short = text if 0 < len(text) < 40 else ""
        kinds = [line.rpartition("::")[2].strip() for line in one.metadata.get_all("Classifier") or []]
        said = short or next((kind for kind in kinds if kind in SAID_OTHERWISE), NOT_SAID.get(one.name, ""))
    said = SAID_OTHERWISE.get(said, said)
    return set(re.split(r"\s+(?:AND|OR|WITH)\s+", said))


def test_every_licence_is_one_that_is_allowed() -> None:
    try:
        importlib.metadata.distribution("tandem-gan")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("Tandem is not installed, so that its dependencies are not known")
    found = {one.name: licences_of(one) for one in needed()}
    assert {"torch", "numpy", "huggingface_hub"} <= set(found)
    assert {name: sorted(one) for name, one in found.items() if not one <= ALLOWED} == {}
