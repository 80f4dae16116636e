"""Images derived from those of DICOM files, as DICOM files again (the extra ``dicom``).

Grey of whole numbers that span at most 65,536 values is stored as it is, other grey by a slope and an intercept in 16
bits; colours have three channels of 8 or 16 bits. The class of the input is kept where it holds such an image, else a
secondary capture is written. Nothing depends on the time: the same image of the same input is the same file.
"""

import hashlib
import io
import uuid
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import Any

import numpy as np

from tandem.data.formats.carried import Carried, Derivation
from tandem.data.formats.dicom_header import read_header
from tandem.data.formats.extras import needed
from tandem.data.formats.stored import kind_of_samples
from tandem.errors import DataError
from tandem.foreign import reading
from tandem.version import __version__

_IMAGES = "1.2.840.10008.5.1.4.1.1."
_CT, _MR, _PET, _SECONDARY = f"{_IMAGES}2", f"{_IMAGES}4", f"{_IMAGES}128", f"{_IMAGES}7"
_CR, _ULTRASOUND, _ULTRASOUND_FRAMES = f"{_IMAGES}1", f"{_IMAGES}6.1", f"{_IMAGES}3.1"
_X_RAYS = tuple(f"{_IMAGES}{one}" for one in ("1.1", "1.1.1", "1.2", "1.2.1", "1.3", "1.3.1", "12.1", "12.2", "481.1"))
_PHOTOGRAPHS = tuple(f"{_IMAGES}77.1.{one}" for one in (1, 2, 3, 4))
_OF_FRAMES = {_ULTRASOUND_FRAMES: _ULTRASOUND, f"{_IMAGES}12.1": f"{_IMAGES}12.1", f"{_IMAGES}12.2": f"{_IMAGES}12.2"}
"""The class of a single frame of a file of several."""
_WIDE = (_CT, _MR, _PET)
"""Classes that have 16 bits allocated, whatever the values are."""
_SCALED = (_CT, _MR, _PET, _CR, _SECONDARY)
"""Classes whose values may be negative, or have a slope and an intercept."""
_GREY = (*_WIDE, _CR, _ULTRASOUND, _SECONDARY, *_X_RAYS)
_COLOURED = (_ULTRASOUND, _SECONDARY, *_PHOTOGRAPHS)
_ONLY_OF_OTHERS = ("PixelIntensityRelationship", "PixelIntensityRelationshipSign", "PresentationLUTShape")
_OF_ALL = (
    *("SliceThickness", "SpacingBetweenSlices", "ImagerPixelSpacing", "PatientPosition", "ProtocolName"),
    *("SoftwareVersions", "ContributingEquipmentSequence"),
)
"""Of the group of acquisition, what a secondary capture says too."""
_EQUIPMENT = (
    *("Manufacturer", "InstitutionName", "InstitutionAddress", "StationName", "InstitutionalDepartmentName"),
    *("ManufacturerModelName", "DeviceSerialNumber", "SoftwareVersions"),
)
_IDENTIFIERS = ("SOPClass", "SOPInstance", "SeriesInstance")
_ACQUISITION = ("109101", "DCM", "Acquisition Equipment")
_PROCESSED = ("121322", "DCM", "Source image for image processing operation")
_LARGEST = 2**16 - 1
_DIGITS = 9
"""Of a slope: a decimal string has at most 16 characters."""
_LONGEST_DESCRIPTION = 64
_MOST_NUMBERED = 10**7
_OWN_PROCESS = uuid.uuid4().hex


@dataclass(frozen=True)
class _Grey:
    """Stored values, ``(H, W)``, and the decimals that bring them back: stored · slope + intercept."""

    stored: np.ndarray
    slope: str = "1"
    intercept: str = "0"

    @property
    def is_scaled(self) -> bool:
        """Whether the stored values are others."""
        return (self.slope, self.intercept) != ("1", "0")


def derived_here(place: str, bits: int | None) -> Derivation:
    """How an image is called that a program writes: those that it writes to one place are one series.

    Args:
        place: Of its file.
        bits: Of its integers that are used; None: all.
    """
    return Derivation(f"{_OWN_PROCESS} {place}", f"Written by Tandem {__version__}", bits=bits)


def dicom_bytes(array: np.ndarray, carried: Carried) -> bytes:
    """A DICOM file of an image ``(H, W, C)`` that is derived from one of a DICOM file of its size.

    Raises:
        DataError: There is none, or the format does not hold such an array.
        MissingExtraError: pydicom is not installed.
    """
    if carried.dicom is None or carried.derivation is None:
        raise DataError(
            "A DICOM file is written for an image that comes of one, whose patient, study and place it takes: here the "
            "input is no DICOM file, or has another size. Write .nii.gz, .tif or .npy, or give a DICOM file."
        )
    with reading("the DICOM header of the input", DataError):
        return _written(array, carried.dicom, carried.derivation)


def _written(array: np.ndarray, header: bytes, derivation: Derivation) -> bytes:
    dataset = read_header(header)
    if not dataset.get("StudyInstanceUID") or not dataset.get("SOPClassUID"):
        raise DataError("The DICOM file of the input names no study or no class, which every DICOM file needs.")
    samples = _colours(array) if array.shape[2] > 1 else _grey(array[:, :, 0], dataset)
    klass = _class_of(dataset, samples)
    _identify(dataset, derivation, hashlib.sha256(_facts(array) + array.tobytes()).hexdigest(), klass)
    _say_who(dataset)
    _put(dataset, samples, derivation, klass)
    meta = needed("pydicom", "dicom", "Writing DICOM files").dataset.FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    dataset.file_meta = meta
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _colours(array: np.ndarray) -> np.ndarray:
    if array.shape[2] != 3 or array.dtype not in (np.uint8, np.uint16):
        kind = kind_of_samples(array.dtype, 8 * array.itemsize)
        raise DataError(
            f"A DICOM file holds grey, or red, green and blue of 8 or 16 bits, not {array.shape[2]} x {kind} channels: "
            "write .nii.gz, .tif or .npy."
        )
    return array


def _grey(array: np.ndarray, dataset: Any) -> _Grey:
    if not np.isfinite(array).all():
        raise DataError("The array holds values that are not finite, which a DICOM file cannot say.")
    low, high = array.min(), array.max()
    if array.dtype.kind == "f" and not (np.array_equal(array, np.rint(array)) and float(high) - float(low) <= _LARGEST):
        return _rounded(array.astype(np.float64), has_zero=dataset.SOPClassUID == _PET)
    if int(high) - int(low) > _LARGEST:
        raise DataError(
            f"The array holds whole numbers from {low} to {high}, and a DICOM file at most {_LARGEST + 1} different "
            "ones: write .nii.gz, .tif or .npy, or floating point, which is rounded to as many."
        )
    if dataset.get("PhotometricInterpretation") == "MONOCHROME1" and int(high) - int(low) < _LARGEST:
        shift = int(low) or -1  # without a scale readers take such values for ones that are to be turned
        return _Grey((array.astype(np.int64) - shift).astype(np.uint16), intercept=str(shift))
    if array.dtype == np.uint8:
        return _Grey(array)
    for kind in (array.dtype, np.dtype(np.int16), np.dtype(np.uint16)):
        if kind in (np.int16, np.uint16) and np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return _Grey(array.astype(kind))
    return _Grey((array - low).astype(np.uint16), intercept=str(int(low)))


def _rounded(array: np.ndarray, *, has_zero: bool) -> _Grey:
    """Values by the least slope whose 16 bits reach from the lowest to the highest of them.

    Args:
        array: ``(H, W)``, float64, finite.
        has_zero: Whether the intercept must be 0.
    """
    down, up = (Context(prec=_DIGITS, rounding=one) for one in (ROUND_FLOOR, ROUND_CEILING))
    low, high = Decimal(float(array.min())), Decimal(float(array.max()))
    is_signed = has_zero and low < 0
    intercept = Decimal(0) if has_zero else down.create_decimal(low)
    largest = _LARGEST // 2 if is_signed else _LARGEST
    slope = up.divide(max(abs(low), high) if has_zero else high - intercept, Decimal(largest)) or Decimal(1)
    stored = np.rint((array - float(intercept)) / float(slope)).clip(-largest if is_signed else 0, largest)
    return _Grey(stored.astype(np.int16 if is_signed else np.uint16), f"{slope:E}", f"{intercept:E}")


def _class_of(dataset: Any, samples: np.ndarray | _Grey) -> str:
    """The class of an image of these samples: that of the input if it holds them, else a secondary capture."""
    own = str(dataset.SOPClassUID)
    if "NumberOfFrames" in dataset:
        own = _OF_FRAMES.get(own, _SECONDARY)
    if isinstance(samples, np.ndarray):
        is_held = own in _COLOURED and (own != _ULTRASOUND or samples.dtype == np.uint8)
    else:
        needs_scale = samples.is_scaled or samples.stored.dtype.kind == "i"
        is_held = own in _GREY and (own in _SCALED or not needs_scale)
    return own if is_held else _SECONDARY


def _identify(dataset: Any, derivation: Derivation, content: str, klass: str) -> None:
    """New identifiers, and what it came of. The same content of the same input has the same ones."""
    input_class, source, series = (
        dataset.get(f"{name}UID") or "" for name in ("SOPClass", "SOPInstance", "SeriesInstance")
    )
    frame = dataset.InstanceNumber if "NumberOfFrames" in dataset else None
    dataset.SeriesInstanceUID = _uid(f"{series or dataset.StudyInstanceUID} {derivation.series}")
    dataset.SOPInstanceUID = _uid(f"{dataset.SeriesInstanceUID} {source} {frame} {content}")
    if source:
        referenced = _item(ReferencedSOPClassUID=input_class, ReferencedSOPInstanceUID=source)
        if frame is not None:
            referenced.ReferencedFrameNumber = frame
        referenced.PurposeOfReferenceCodeSequence = [_code(_PROCESSED)]
        referenced.SpatialLocationsPreserved = "YES"
        dataset.SourceImageSequence = [referenced]
    dataset.SOPClassUID = klass
    kinds = list(dataset.get("ImageType") or ())[2:] if klass == input_class else []
    dataset.ImageType = ["DERIVED", "SECONDARY", *kinds]
    dataset.DerivationDescription = derivation.text
    told = f" [Tandem{derivation.name and ' '}{derivation.name}]"
    before = str(dataset.get("SeriesDescription") or "")[: _LONGEST_DESCRIPTION - len(told)]
    dataset.SeriesDescription = f"{before}{told}".strip()
    number = dataset.get("SeriesNumber")
    if isinstance(number, int) and abs(number) < _MOST_NUMBERED:
        dataset.SeriesNumber = 100 * number + derivation.number
    if derivation.is_synthetic:
        dataset.SyntheticData = "YES"


def _say_who(dataset: Any) -> None:
    """Tandem is the equipment that made the image; that of the input contributed to it."""
    acquired = _item(PurposeOfReferenceCodeSequence=[_code(_ACQUISITION)])
    for name in _EQUIPMENT:
        if name in dataset:
            acquired[name] = dataset[name]
            del dataset[name]
    earlier = list(dataset.get("ContributingEquipmentSequence") or ())
    if acquired.get("Manufacturer"):
        dataset.ContributingEquipmentSequence = [*earlier, acquired]
    dataset.Manufacturer, dataset.ManufacturerModelName, dataset.SoftwareVersions = "Tandem", "tandem-gan", __version__


def _put(dataset: Any, samples: np.ndarray | _Grey, derivation: Derivation, klass: str) -> None:
    """Put the samples into a dataset, with what says how they are read and shown."""
    is_inverted = (
        dataset.get("PhotometricInterpretation") == "MONOCHROME1" and isinstance(samples, _Grey) and samples.is_scaled
    )
    has_shape = "PresentationLUTShape" in dataset
    rescale_type = dataset.get("RescaleType")
    for name in ("NumberOfFrames", "RescaleType", "BitsAllocated"):
        if name in dataset:
            delattr(dataset, name)
    if klass == _SECONDARY:
        _make_secondary(dataset)
    dataset.file_meta = needed("pydicom", "dicom", "Writing DICOM files").dataset.FileMetaDataset()
    if isinstance(samples, np.ndarray):
        dataset.set_pixel_data(samples, "RGB", 8 * samples.itemsize, generate_instance_uid=False)
        return
    stored = samples.stored
    stored = stored.astype(np.uint16) if klass in _WIDE and stored.dtype == np.uint8 else stored
    bits = derivation.bits if derivation.bits and not samples.is_scaled and stored.dtype.kind == "u" else None
    kind = "MONOCHROME1" if is_inverted else "MONOCHROME2"
    dataset.set_pixel_data(stored, kind, min(bits or 16, 8 * stored.itemsize), generate_instance_uid=False)
    if samples.is_scaled or klass in (_CT, _PET) or (rescale_type and klass in _SCALED):
        dataset.RescaleSlope, dataset.RescaleIntercept = samples.slope, samples.intercept
        if rescale_type or klass != _PET:
            dataset.RescaleType = rescale_type or ("HU" if klass == _CT else "US")
    if has_shape and klass != _SECONDARY:
        dataset.PresentationLUTShape = "INVERSE" if is_inverted else "IDENTITY"
    _say_window(dataset, samples, derivation, needs_one=klass in _X_RAYS)


def _make_secondary(dataset: Any) -> None:
    """Leave out what other classes say of how an image was acquired; where it lies stays."""
    for element in list(dataset):
        group, name = element.tag.group, element.keyword
        if name in _ONLY_OF_OTHERS or group == 0x0054 or (group == 0x0018 and name not in _OF_ALL):
            del dataset[element.tag]
    dataset.ConversionType = "WSD"
    if "PatientOrientation" not in dataset:
        dataset.PatientOrientation = None


def _say_window(dataset: Any, samples: _Grey, derivation: Derivation, *, needs_one: bool) -> None:
    """Say which values are black and white, where it is known, or must be said: then by the values themselves."""
    window = derivation.window
    if window is None and needs_one:
        window = (float(samples.stored.min()), float(samples.stored.max()))
    if window is None:
        return
    low, high = window
    if samples.slope == "1":
        dataset.WindowCenter, dataset.WindowWidth = f"{(low + high + 1) / 2:.10g}", f"{high - low + 1:.10g}"
    else:
        dataset.WindowCenter, dataset.WindowWidth = f"{(low + high) / 2:.8e}", f"{high - low:.8e}"
        dataset.VOILUTFunction = "LINEAR_EXACT"


def _uid(text: str) -> str:
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, text).int}"


def _facts(array: np.ndarray) -> bytes:
    return f"{array.shape} {array.dtype.str} ".encode()


def _item(**values: Any) -> Any:
    item = needed("pydicom", "dicom", "Writing DICOM files").Dataset()
    for name, value in values.items():
        setattr(item, name, value)
    return item


def _code(code: tuple[str, str, str]) -> Any:
    value, scheme, meaning = code
    return _item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)
