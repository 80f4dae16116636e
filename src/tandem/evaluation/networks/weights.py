"""Where the weights of the metrics' networks are found: by path, in a cache folder, or downloaded on first use.

Nothing is taken on trust. Published files have a known SHA-256, which is checked whatever way they came; other files
are accepted only by path, and `WeightsSource.published` says so, since a number through other weights is another
metric.
"""

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tandem.errors import WeightsError
from tandem.evaluation.networks.download import download
from tandem.files import cache_folder
from tandem.networks.backbones.tensor_files import sha256_of

WeightsName = Literal[
    "inception",
    "alex",
    "vgg",
    "squeeze",
    "lpips-v0.0-alex",
    "lpips-v0.0-vgg",
    "lpips-v0.0-squeeze",
    "lpips-v0.1-alex",
    "lpips-v0.1-vgg",
    "lpips-v0.1-squeeze",
]

_TORCHVISION = "https://download.pytorch.org/models/"
_PYTORCH_FID = "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
_LPIPS = "https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/master/lpips/weights/"


@dataclass(frozen=True)
class PublishedWeights:
    """A weight file as its authors published it.

    Attributes:
        file: The name it gets in the cache.
        url: Where it is downloaded from.
        sha256: What it hashes to.
        num_bytes: How long it is.
        aliases: Other names of the same weights, relative to a folder that is given.
    """

    file: str
    url: str
    sha256: str
    num_bytes: int
    aliases: tuple[str, ...] = ()


def _backbone(file: str, sha256: str, num_bytes: int) -> PublishedWeights:
    return PublishedWeights(file, _TORCHVISION + file, sha256, num_bytes)


def _heads(version: str, network: str, sha256: str, num_bytes: int) -> PublishedWeights:
    aliases = (f"{version}/{network}.pth", f"{version}/{network}.safetensors")
    return PublishedWeights(
        f"lpips-{version}-{network}.pth", f"{_LPIPS}{version}/{network}.pth", sha256, num_bytes, aliases
    )


PUBLISHED: dict[WeightsName, PublishedWeights] = {
    "inception": PublishedWeights(
        "pt_inception-2015-12-05-6726825d.pth",
        _PYTORCH_FID + "pt_inception-2015-12-05-6726825d.pth",
        "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
        95_628_359,
        ("weights-inception-2015-12-05-6726825d.pth",),
    ),
    "alex": _backbone(
        "alexnet-owt-7be5be79.pth", "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02", 244_408_911
    ),
    "vgg": _backbone(
        "vgg16-397923af.pth", "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0", 553_433_881
    ),
    "squeeze": _backbone(
        "squeezenet1_1-b8a52dc0.pth", "b8a52dc049b60e4b6ab68ad0df457362afab8b6304b2febdc1650a5dab4d7e7b", 4_966_400
    ),
    "lpips-v0.0-alex": _heads(
        "v0.0", "alex", "18720f55913d0af89042f13faa7e536a6ce1444a0914e6db9461355ece1e8cd5", 5_455
    ),
    "lpips-v0.0-vgg": _heads("v0.0", "vgg", "b9e4236260c3dd988fc79d2a48d645d885afcbb21f9fd595e6744cf7419b582c", 6_735),
    "lpips-v0.0-squeeze": _heads(
        "v0.0", "squeeze", "c27abd3a0145541baa50990817df58d3759c3f8154949f42af3b59b4e042d0bf", 10_057
    ),
    "lpips-v0.1-alex": _heads(
        "v0.1", "alex", "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0", 6_009
    ),
    "lpips-v0.1-vgg": _heads("v0.1", "vgg", "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868", 7_289),
    "lpips-v0.1-squeeze": _heads(
        "v0.1", "squeeze", "4a5350f23600cb79923ce65bb07cbf57dca461329894153e05a1346bd531cf76", 10_811
    ),
}
"""The published weight files, all of which may be downloaded; none of them comes with Tandem."""


@dataclass(frozen=True)
class WeightsSource:
    """A weight file that was found, as a report records it.

    Attributes:
        name: What the weights are for.
        path: The file.
        sha256: Its hash.
        published: Whether it is the published file.
    """

    name: str
    path: Path
    sha256: str
    published: bool


def find_weights(
    name: WeightsName, *, path: Path | None = None, may_download: bool = True, cache: Path | None = None
) -> WeightsSource:
    """Find a published weight file, or the one given instead.

    Args:
        name: Which weights.
        path: A file to take, or a folder to look into instead of the caches.
        may_download: Whether to fetch the file when it is nowhere.
        cache: The folder to look into first and to download to; `cache_folder()` by default. PyTorch's own cache is
            looked into as well, and torchmetrics' package, which carries the v0.1 heads of LPIPS.

    Raises:
        WeightsError: It is nowhere and cannot be downloaded, or a file under a published name is another one.
    """
    published = PUBLISHED[name]
    if path is not None:
        return _checked(name, _given(name, path))
    cache = cache_folder() if cache is None else cache
    places = _places(name, cache)
    for place in places:
        if place.is_file():
            return _checked(name, place)
    target = cache / published.file
    if not may_download:
        raise _missing(name, places, "downloads are switched off", may_download=False)
    try:
        download(published.url, target, sha256=published.sha256, num_bytes=published.num_bytes)
    except (WeightsError, OSError) as error:
        raise _missing(name, places, str(error).rstrip("."), may_download=True) from error
    return _checked(name, target)


def _places(name: WeightsName, cache: Path) -> list[Path]:
    published = PUBLISHED[name]
    hub = Path(os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "torch")
    names = (published.file, *published.aliases)
    # Under PyTorch's cache others keep their files too, in folders of their own.
    flat = [file for file in names if "/" not in file]
    places = [cache / file for file in names]
    places += [hub.expanduser() / "hub" / "checkpoints" / file for file in flat]
    # find_spec reads where the package is without running it.
    if name.startswith("lpips-v0.1") and (spec := importlib.util.find_spec("torchmetrics")) and spec.origin:
        heads = Path(spec.origin).parent / "functional" / "image" / "lpips_models"
        places.append(heads / f"{name.rpartition('-')[2]}.pth")
    return places


def _given(name: WeightsName, path: Path) -> Path:
    path = path.expanduser()
    if not path.is_dir():
        return path
    names = (PUBLISHED[name].file, *PUBLISHED[name].aliases)
    for candidate in names:
        if (path / candidate).is_file():
            return path / candidate
    raise WeightsError(f"{path} holds no weights for '{name}': expected one of {', '.join(names)} there.")


def _checked(name: WeightsName, path: Path) -> WeightsSource:
    if not path.is_file():
        raise WeightsError(f"the weight file {path} does not exist; expected the weights '{name}'.")
    published = PUBLISHED[name]
    digest = sha256_of(path)
    same = digest == published.sha256
    if not same and path.name in {published.file, *published.aliases}:
        raise WeightsError(
            f"{path} has the SHA-256 {digest}, but the published file of this name has {published.sha256}. It is "
            "damaged or another file: remove it, or rename it if you mean to use other weights."
        )
    return WeightsSource(name, path, digest, same)


def _missing(name: WeightsName, places: list[Path], reason: str, *, may_download: bool) -> WeightsError:
    published = PUBLISHED[name]
    looked = "".join(f"\n    {place}" for place in places)
    return WeightsError(
        f"the weights '{name}' are not on this machine, and {reason}. Fetch the file on a machine with a connection:\n"
        f"  from     {published.url}\n"
        f"  file     {published.file}, {_size(published.num_bytes)}\n"
        f"  SHA-256  {published.sha256}\n"
        f"  to       {places[0].parent}, or to another folder that you give with --weights\n"
        f"  These places were looked at:{looked}",
        weights=name,
        may_download=may_download,
    )


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:,.1f} MB" if num_bytes >= 1e5 else f"{num_bytes:,} bytes"
