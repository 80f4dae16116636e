"""The datasets that the authors of pix2pix, CycleGAN and CUT offer, and what is known of their archives.

Names and addresses are those of the authors' scripts: `download_pix2pix_dataset.sh` and `download_cyclegan_dataset.sh`
(github.com/junyanz/pytorch-CycleGAN-and-pix2pix), and `download_cut_dataset.sh` for grumpifycat and the `mini…` sets
(github.com/taesungp/contrastive-unpaired-translation). Both scripts for pairs and the one of CUT refuse cityscapes
because of its licence; so does this catalogue, for either list.

Where the numbers come from, none of them measured here:

- *CycleGAN's sets*: sizes in bytes and SHA-256 from TensorFlow Datasets (`url_checksums/cycle_gan.txt`, of the archives
  at the addresses below), counts per folder from its catalogue (`cycle_gan` 3.0.0).
- *facades, pairs*: 400 for training in the authors' docs/datasets.md; 606 in all in CMP Facades and in the copy
  huggan/facades; 106 for testing in the unpaired edition; so 100 are left for validation.
- *maps, pairs*: 1096 for training in docs/datasets.md; 2194 in all as counted by users; 1098 in the unpaired edition.
- *edges2shoes*: 50025 in all (UT Zappos50K, and the copy huggan/edges2shoes); 49825 for training as counted by users of
  the archive; so 200 are left for validation.
- *edges2handbags*: 138567 for training as counted by users; validation not verified.
- *night2day*: 17823, 10 and 2287 as counted by users; 20120 in all in the copy huggan/night2day, which is their sum.
- *cityscapes*: 2975 for training in docs/datasets.md.
- *Sizes of the other archives* are the rounded ones of the server's listing, and only used for the estimate of space.
- *grumpifycat, ae_photos, mini…*: no count could be verified.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from tandem.errors import ConfigError

Collection = Literal["pix2pix", "cyclegan"]
Kind = Literal["paired", "unpaired", "single"]

SERVER = "https://efrosgans.eecs.berkeley.edu"
_SUFFIXES: Mapping[Collection, str] = MappingProxyType({"pix2pix": ".tar.gz", "cyclegan": ".zip"})
_RESEARCH = "collected for research; no licence is stated"
_CITYSCAPES = "the Cityscapes licence forbids passing the images on"


@dataclass(frozen=True)
class RemoteDataset:
    """One dataset as its authors offer it.

    Attributes:
        collection: Whose list it is on.
        name: Its name there, and that of the archive.
        kind: Pairs side by side; two unpaired folders; or single images without a second domain.
        title: What is shown, A first.
        folders: The folders that must be there with their numbers of images, None where the number could not be
            verified. Empty where not even the folders are known.
        licence: What is known of it; whoever uses the data has to look for themselves.
        about_bytes: Size of the archive, rounded unless `sha256` is known; None if unknown.
        sha256: Of the archive, if it is known; then `about_bytes` is exact.
        withheld: Why the authors no longer hand it out; empty if they do.
    """

    collection: Collection
    name: str
    kind: Kind
    title: str
    folders: Mapping[str, int | None]
    licence: str
    about_bytes: int | None = None
    sha256: str | None = None
    withheld: str = ""

    @property
    def key(self) -> str:
        """The name that is never ambiguous: `pix2pix/maps`."""
        return f"{self.collection}/{self.name}"

    @property
    def archive_name(self) -> str:
        """The file on the server."""
        return self.name + _SUFFIXES[self.collection]

    @property
    def url(self) -> str:
        """Where the authors offer it."""
        return f"{SERVER}/{self.collection}/datasets/{self.archive_name}"

    @property
    def exact_bytes(self) -> int | None:
        """The size of the archive if it is known to the byte."""
        return self.about_bytes if self.sha256 else None

    @property
    def num_images(self) -> int | None:
        """All images, if the number in every folder is known."""
        numbers = [number for number in self.folders.values() if number is not None]
        return sum(numbers) if numbers and len(numbers) == len(self.folders) else None

    @property
    def default_folder(self) -> str:
        """The folder that it is put into: its name, which two datasets of one name do not share."""
        shared = self.collection == "cyclegan" and f"pix2pix/{self.name}" in CATALOGUE
        return f"{self.name}_unpaired" if shared else self.name


def find(name: str, *, unpaired: bool = False) -> RemoteDataset:
    """The dataset `name`: `horse2zebra`, or `cyclegan/maps` where a name is on both lists.

    A bare name on both lists is that of the pairs, unless `unpaired` is asked for.

    Raises:
        ConfigError: There is no such dataset, or not without pairs.
    """
    keys = [name] if "/" in name else [f"pix2pix/{name}", f"cyclegan/{name}"]
    found = [CATALOGUE[key] for key in keys if key in CATALOGUE]
    if not found:
        names = sorted(CATALOGUE if "/" in name else {entry.name for entry in CATALOGUE.values()})
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise ConfigError(f"there is no dataset '{name:.80}' in the catalogue.{hint} It has {', '.join(names)}.")
    if not unpaired:
        return found[0]
    without_pairs = [entry for entry in found if entry.kind == "unpaired"]
    if not without_pairs:
        raise ConfigError(f"{found[0].key} is offered only as {found[0].kind} images: leave out --unpaired.")
    return without_pairs[0]


def _pairs(name: str, title: str, about_bytes: int, licence: str, **folders: int | None) -> RemoteDataset:
    return RemoteDataset("pix2pix", name, "paired", title, MappingProxyType(folders), licence, about_bytes)


def _domains(
    name: str, title: str, counts: tuple[int, int, int, int], *, exact_bytes: int, sha256: str, licence: str
) -> RemoteDataset:
    """An unpaired dataset whose archive is known; `counts` are those of trainA, trainB, testA, testB."""
    folders: dict[str, int | None] = dict(zip(("trainA", "trainB", "testA", "testB"), counts, strict=True))
    return RemoteDataset("cyclegan", name, "unpaired", title, MappingProxyType(folders), licence, exact_bytes, sha256)


def _unverified(name: str, kind: Kind, title: str, about_bytes: int | None, *folders: str) -> RemoteDataset:
    unknown = MappingProxyType(dict.fromkeys(folders))
    return RemoteDataset("cyclegan", name, kind, title, unknown, _RESEARCH, about_bytes)


def _withheld(collection: Collection, kind: Kind, *folders: str) -> RemoteDataset:
    counts = MappingProxyType(dict.fromkeys(folders, 2975))
    title = "street scenes and their labels"
    return RemoteDataset(collection, "cityscapes", kind, title, counts, _CITYSCAPES, withheld=_CITYSCAPES)


_CMP = "CMP Facades, for research"
_MAPS = "scraped from Google Maps, whose terms apply"
_ART = "paintings from WikiArt, photos from Flickr; no licence is stated"
_FLICKR = "photos from Flickr; no licence is stated"
_IMAGENET = "ImageNet, for non-commercial research"

_PIX2PIX = (
    _pairs("facades", "photos and labels of façades", 29 << 20, _CMP, train=400, val=100, test=106),
    _pairs("maps", "satellite images and maps", 239 << 20, _MAPS, train=1096, val=1098),
    _pairs(
        "edges2shoes",
        "edges and photos of shoes",
        2 << 30,
        "UT Zappos50K, for academic, non-commercial use",
        train=49_825,
        val=200,
    ),
    _pairs(
        "edges2handbags",
        "edges and photos of handbags",
        8 << 30,
        "Amazon's photos, collected by the iGAN project; no licence is stated",
        train=138_567,
        val=None,
    ),
    _pairs(
        "night2day",
        "webcams by night and by day",
        1946 << 20,
        "Transient Attributes (Laffont et al.); no licence is stated",
        train=17_823,
        val=10,
        test=2287,
    ),
    _withheld("pix2pix", "paired", "train"),
)

_CYCLEGAN = (
    _domains(
        "apple2orange",
        "apples and oranges",
        (995, 1019, 266, 248),
        exact_bytes=78_456_409,
        sha256="845a191e9af8926408ea597001cd03a452e3300a1f44a79fe329b3d59f6e3eb8",
        licence=_IMAGENET,
    ),
    _domains(
        "horse2zebra",
        "horses and zebras",
        (1067, 1334, 120, 140),
        exact_bytes=116_867_962,
        sha256="a74d9d392eecca9966b51287a76ca126af473d9de4f3e8fc0e9cda08fa1730a1",
        licence=_IMAGENET,
    ),
    _domains(
        "summer2winter_yosemite",
        "Yosemite in summer and in winter",
        (1231, 962, 309, 238),
        exact_bytes=132_640_856,
        sha256="167fe1726807a9d22bd106b4a6c0bd7953b688af924ac1bf967439c4961e49f9",
        licence=_FLICKR,
    ),
    _domains(
        "monet2photo",
        "paintings by Monet and photos",
        (1072, 6287, 121, 751),
        exact_bytes=305_231_073,
        sha256="88f91b00fc228f97c9411fbf1880ec1d119c98f1722e4cfcfaa2fb35fac05b04",
        licence=_ART,
    ),
    _domains(
        "cezanne2photo",
        "paintings by Cézanne and photos",
        (525, 6287, 58, 751),
        exact_bytes=279_885_071,
        sha256="3a6c10ca21f9485862f1cbd707744b9dc258954a04631271d23a3605eeb63cff",
        licence=_ART,
    ),
    _domains(
        "ukiyoe2photo",
        "ukiyo-e prints and photos",
        (562, 6287, 263, 751),
        exact_bytes=292_946_532,
        sha256="02a2a2fb5ecf425ca1bf86aca7304377da64a2a1d3b86df54eb65e4068bf3b08",
        licence=_ART,
    ),
    _domains(
        "vangogh2photo",
        "paintings by Van Gogh and photos",
        (400, 6287, 400, 751),
        exact_bytes=306_590_349,
        sha256="362c3473e70be0944bda08d49d660eafdc2854df55d697835b8186d1d79caaff",
        licence=_ART,
    ),
    _domains(
        "maps",
        "satellite images and maps",
        (1096, 1096, 1098, 1098),
        exact_bytes=1_476_754_427,
        sha256="639534f69dbf9f36bef8d6292a7698006361221f83f0285d7c9ca78afe6e8a9e",
        licence=_MAPS,
    ),
    _domains(
        "facades",
        "photos and labels of façades",
        (400, 400, 106, 106),
        exact_bytes=35_135_868,
        sha256="9a31ebf3a31b9b5cd195dd5bf62e9308e00cb94604d1019e3889ac84248695c0",
        licence=_CMP,
    ),
    _domains(
        "iphone2dslr_flower",
        "flowers, by phone and by camera",
        (1812, 3325, 569, 480),
        exact_bytes=339_964_458,
        sha256="8fcb5e374d631b107e1d961b8c4cd0a186aa2a4ff3e279923f4c426128de7113",
        licence=_FLICKR,
    ),
    _withheld("cyclegan", "unpaired", "trainA", "trainB"),
    _unverified("grumpifycat", "unpaired", "Russian Blue cats and Grumpy Cat (CUT)", 19 << 20, "trainA", "trainB"),
    _unverified("ae_photos", "single", "photos by A. Efros, to try a painter's style on", 10 << 20),
    _unverified("mini", "unpaired", "a few images for the authors' tests", None),
    _unverified("mini_pix2pix", "paired", "a few pairs for the authors' tests", None),
    _unverified("mini_colorization", "single", "a few photos for the authors' tests", None),
)

CATALOGUE: Mapping[str, RemoteDataset] = MappingProxyType({entry.key: entry for entry in (*_PIX2PIX, *_CYCLEGAN)})
"""All datasets by key."""
