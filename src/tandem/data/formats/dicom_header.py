"""What a DICOM file says beside its pixels, as far as it still holds for an image that is derived from it.

Kept are patient, study, series, frame of reference, the place of the image, and how it was acquired. Left out is what
belongs to the stored values (windows, tables, padding, their smallest and largest), what was drawn over them (overlays,
curves, graphics), previews, signatures, dates of making, functional groups, and all that is private: of that nobody
knows whether it still holds, or whom it names.
"""

import io
from typing import Any

from tandem.data.formats.extras import needed

_KEPT_GROUPS = (0x0008, 0x0010, 0x0012, 0x0018, 0x0020, 0x0032, 0x0038, 0x0040, 0x0054)
_KEPT = (
    *("SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated"),
    *("PixelSpacing", "PixelAspectRatio", "PixelSpacingCalibrationType", "PixelSpacingCalibrationDescription"),
    *("PixelIntensityRelationship", "PixelIntensityRelationshipSign", "CorrectedImage", "RescaleType"),
    *("QualityControlImage", "BurnedInAnnotation", "RecognizableVisualFeatures"),
    *("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"),
    *("BreastImplantPresent", "PartialView", "PartialViewDescription", "PartialViewCodeSequence"),
    "PresentationLUTShape",
)
"""Of the other groups."""
_LEFT_OUT = (
    *("InstanceCreationDate", "InstanceCreationTime", "InstanceCreatorUID", "ContentDate", "ContentTime"),
    *("SourceImageSequence", "DerivationDescription", "DerivationCodeSequence", "OriginalAttributesSequence"),
    *("LengthToEnd", "PixelDataProviderURL", "RetrieveURL", "RetrieveURI", "InstanceAvailability", "SyntheticData"),
    *("ReferencedPerformedProcedureStepSequence", "PerformedProtocolCodeSequence", "RealWorldValueMappingSequence"),
    *("SpatialLocationsPreserved", "MultiFrameSourceSOPInstanceUID", "NumberOfSeriesRelatedInstances"),
    *("DimensionOrganizationSequence", "DimensionIndexSequence", "DimensionOrganizationType"),
    *("ConcatenationUID", "InConcatenationNumber", "InConcatenationTotalNumber", "ConcatenationFrameOffsetNumber"),
    *("SOPInstanceUIDOfConcatenationSource", "ImagesInAcquisition", "ImageComments"),
)
_OF_FRAMES = (
    *("FrameTime", "FrameTimeVector", "FrameDelay", "CineRate", "RecommendedDisplayFrameRate", "StartTrim", "StopTrim"),
    *("EffectiveDuration", "ActualFrameDuration", "PreferredPlaybackSequencing", "FrameAcquisitionDuration"),
    *("ImagePositionPatient", "ImageOrientationPatient", "SliceLocation", "InstanceNumber"),
)
"""What holds for all frames of a file, and not for one of them."""
_FRAMES_GROUP = 0x0054  # vectors of nuclear medicine, an entry for each frame
_MACROS = {
    "ImagePositionPatient": "PlanePositionSequence",
    "ImageOrientationPatient": "PlaneOrientationSequence",
    "PixelSpacing": "PixelMeasuresSequence",
    "SliceThickness": "PixelMeasuresSequence",
    "SpacingBetweenSlices": "PixelMeasuresSequence",
    "RescaleSlope": "PixelValueTransformationSequence",
    "RescaleIntercept": "PixelValueTransformationSequence",
    "RescaleType": "PixelValueTransformationSequence",
}
_SCALE = ("RescaleSlope", "RescaleIntercept")
_BULK = ("OB", "OW", "OF", "OD", "OL", "OV", "UN")


def of_frame(dataset: Any, name: str, frame: int | None) -> Any:
    """What a file says of one of its frames, in its functional groups or itself; None where it says nothing.

    A position and an orientation beside the groups are those of one frame, nobody knows of which.

    Args:
        dataset: As pydicom has it.
        name: The keyword of an attribute.
        frame: From 0; None of a file of one.
    """
    shared, own = dataset.get("SharedFunctionalGroupsSequence"), dataset.get("PerFrameFunctionalGroupsSequence")
    for groups, index in ((own, frame or 0), (shared, 0)):
        for item in (groups[index].get(_MACROS[name]) or ()) if groups and index < len(groups) else ():
            if item.get(name) is not None:
                return item.get(name)
    return dataset.get(name) if frame is None or name not in _OF_FRAMES else None


def header_of(dataset: Any, frame: int | None, *, is_inverted: bool) -> bytes:
    """What is kept of a file, as a dataset of explicit little-endian elements that `read_header` takes.

    Elements that cannot be written again are left out.

    Args:
        dataset: As pydicom has it.
        frame: Which of its frames, from 0; None of a file of one.
        is_inverted: Whether zero is white in the values that are read.
    """
    library = needed("pydicom", "dicom", "Reading DICOM files")
    kept = library.Dataset()
    charset = dataset.get("SpecificCharacterSet")
    encodings = library.charset.convert_encodings(charset or "ISO_IR 6")
    for tag in list(dataset.keys()):
        if _is_kept(library, tag, frame) and (element := _copied(library, dataset, tag, encodings)) is not None:
            kept.add(element)
    for name in _MACROS:
        value = of_frame(dataset, name, frame)
        if value is not None and name not in _SCALE:
            setattr(kept, name, value)
    if frame is not None:
        kept.InstanceNumber, kept.NumberOfFrames = frame + 1, int(dataset.NumberOfFrames)
    for name in ("SOPClassUID", "SOPInstanceUID"):
        if name not in kept and (value := dataset.file_meta.get(f"MediaStorage{name}")):
            setattr(kept, name, value)
    _say_of_values(kept, dataset, is_inverted=is_inverted)
    stream = library.filebase.DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    library.filewriter.write_dataset(stream, kept)
    return stream.getvalue()


def read_header(header: bytes) -> Any:
    """The dataset of `header_of`."""
    library = needed("pydicom", "dicom", "Writing DICOM files")
    return library.filereader.read_dataset(io.BytesIO(header), is_implicit_VR=False, is_little_endian=True)


def _is_kept(library: Any, tag: Any, frame: int | None) -> bool:
    name = library.datadict.keyword_for_tag(tag)
    if frame is not None and (name in _OF_FRAMES or tag.group == _FRAMES_GROUP):
        return False
    return (tag.group in _KEPT_GROUPS and name not in _LEFT_OUT) or name in _KEPT


def _copied(library: Any, dataset: Any, tag: Any, encodings: list[str]) -> Any:
    """An element without what is private in it; None of one that cannot be written, or is no header."""
    stream = library.filebase.DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    try:
        element = dataset[tag]
        if element.VR in _BULK:
            return None
        if element.VR == "SQ":
            element = library.DataElement(tag, "SQ", [_public(item) for item in element.value])
        library.filewriter.write_data_element(stream, element, encodings)
    except Exception:  # whatever a damaged element makes pydicom raise: the picture is none the worse
        return None
    return element


def _public(item: Any) -> Any:
    """A copy of an item without private elements, at all depths."""
    made = type(item)()
    for element in item:
        if element.tag.is_private:
            continue
        if element.VR == "SQ":
            made.add_new(element.tag, "SQ", [_public(one) for one in element.value])
        else:
            made.add(element)
    return made


def _say_of_values(kept: Any, dataset: Any, *, is_inverted: bool) -> None:
    """Say of the photometric interpretation what the values that are read mean."""
    if dataset.PhotometricInterpretation == "MONOCHROME1" and not is_inverted:
        kept.PhotometricInterpretation = "MONOCHROME2"
        if kept.get("PixelIntensityRelationshipSign"):
            kept.PixelIntensityRelationshipSign = -kept.PixelIntensityRelationshipSign
