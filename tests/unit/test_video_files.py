"""Videos read and written: frames, time stamps, rotation, colours, sizes, and files that are not what they say."""

import contextlib
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tandem.errors import DataError
from tandem.inference.video.frames import MAX_FRAME_PIXELS, Frame, VideoInfo
from tandem.inference.video.reading import ContainerVideo
from tandem.inference.video.writing import ContainerWriter
from videos import MATRICES, moving_frames, orient, see, write_video

LOSSLESS = {"codec": "ffv1", "pixel_format": "bgr0"}
MS = Fraction(1, 1000)


def frames_of(path: Path) -> list[Frame]:
    with ContainerVideo(path) as video:
        return [part for part in video.parts() if isinstance(part, Frame)]


def written(path: Path, frames: list[np.ndarray], info: VideoInfo, times: list[int], last: int = 1) -> Path:
    with ContainerWriter(path, path.suffix, info) as writer:
        for index, pixels in enumerate(frames):
            after = times[index + 1] if index + 1 < len(times) else times[index] + last
            writer.add(Frame(pixels, times[index], after - times[index]))
    return path


def info_of(height: int, width: int, time_base: Fraction = MS, rate: int | None = 25) -> VideoInfo:
    return VideoInfo(Path("source"), width, height, time_base, None if rate is None else Fraction(rate))


def test_every_frame_and_time_stamp(tmp_path: Path) -> None:
    """Lossless, at uneven times: what is read is what was written."""
    frames, times = moving_frames(7), [0, 40, 50, 200, 1000, 1001, 3000]
    path = write_video(tmp_path / "a.mkv", frames, times=times, time_base=MS, rate=25, **LOSSLESS)
    read = frames_of(path)
    assert [frame.time for frame in read] == times
    assert all(np.array_equal(frame.pixels, original) for frame, original in zip(read, frames, strict=True))


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
@pytest.mark.parametrize("b_frames", ["0", "3"])
def test_a_frame_lasts_until_the_next_one(tmp_path: Path, suffix: str, b_frames: str) -> None:
    """Whatever the file says of its duration: MP4 says it in the order of decoding, Matroska the nominal one."""
    times = [0, 40, 80, 500, 540, 1500, 1540, 3000, 3040]
    path = write_video(
        tmp_path / f"a.{suffix}",
        moving_frames(len(times)),
        times=times,
        time_base=MS,
        rate=25,
        codec_options={"bf": b_frames},
    )
    frames = frames_of(path)
    with ContainerVideo(path) as video:
        tick = video.info.time_base / MS
    assert [frame.time * tick for frame in frames] == times
    ends = [(frame.time + frame.duration) * tick for frame in frames]
    assert ends[:-1] == times[1:]
    assert ends[-1] == 3080


@pytest.mark.parametrize(("suffix", "codec"), [("mp4", "libx264"), ("mov", "libx264"), ("webm", "libvpx-vp9")])
def test_what_is_said_of_a_video(tmp_path: Path, suffix: str, codec: str) -> None:
    path = write_video(tmp_path / f"a.{suffix}", moving_frames(9), rate=Fraction(30000, 1001), codec=codec)
    with ContainerVideo(path) as video:
        assert (video.info.width, video.info.height, video.info.num_frames) == (64, 48, 9)
        assert video.info.frame_rate is not None
        assert float(video.info.frame_rate) == pytest.approx(30000 / 1001, rel=0.01)
    assert len(frames_of(path)) == 9


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_uneven_times_are_written(tmp_path: Path, suffix: str) -> None:
    """Also that of the last frame's end, and a first frame that is not shown at once."""
    frames, times = moving_frames(6), [120, 160, 200, 700, 701, 1500]
    seen = see(written(tmp_path / f"a{suffix}", frames, info_of(48, 64), times, last=400))
    assert [1000 * time for time in seen.times] == times
    assert 1000 * (seen.times[-1] + seen.durations[-1]) == 1900
    assert seen.pixel_format == "yuv420p"


@pytest.mark.parametrize("rate", [24, 25, 60, Fraction(30000, 1001)])
def test_rates_are_written(tmp_path: Path, rate: Fraction | int) -> None:
    info = VideoInfo(Path("source"), 64, 48, 1 / Fraction(rate), Fraction(rate))
    seen = see(written(tmp_path / "a.mp4", moving_frames(50), info, list(range(50))))
    assert len(seen.pixels) == 50
    assert seen.rate == rate
    assert [time * rate for time in seen.times] == list(range(50))


@pytest.mark.parametrize("size", [(47, 64), (48, 63), (1, 1), (2, 2), (33, 17)])
def test_odd_sizes_are_kept(tmp_path: Path, size: tuple[int, int]) -> None:
    picture = np.full((*size, 3), (200, 60, 30), np.uint8)
    seen = see(written(tmp_path / "a.mp4", [picture] * 3, info_of(*size), [0, 40, 80]))
    assert [pixels.shape for pixels in seen.pixels] == [(*size, 3)] * 3
    assert seen.pixel_format == ("yuv420p" if size == (2, 2) else "yuv444p")
    assert np.abs(seen.pixels[0].astype(int) - picture).max() <= 4


@pytest.mark.parametrize("size", [(48, 64), (720, 16)])
def test_colours_survive(tmp_path: Path, size: tuple[int, int]) -> None:
    """Each of six colours comes back, below and above 720 lines, where other matrices are usual."""
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (120, 200, 40)]
    frames = [np.full((*size, 3), colour, np.uint8) for colour in colours]
    path = written(tmp_path / "a.mp4", frames, info_of(*size), [40 * index for index in range(6)])
    for frame, colour in zip(frames_of(path), colours, strict=True):
        assert np.abs(frame.pixels.mean(axis=(0, 1)) - colour).max() < 4


@pytest.mark.parametrize(("height", "red", "blue"), [(480, 0.299, 0.114), (720, 0.2126, 0.0722)])
def test_colours_of_files_that_do_not_say_their_matrix(tmp_path: Path, height: int, red: float, blue: float) -> None:
    """BT.601 below 720 lines, BT.709 from there on; Y, Cb and Cr by their definition, limited range."""
    r, g, b = colour = np.array([200, 60, 30]) / 255
    luma = red * r + (1 - red - blue) * g + blue * b
    values = (16 + 219 * luma, 128 + 112 * (b - luma) / (1 - blue), 128 + 112 * (r - luma) / (1 - red))
    planes = np.concatenate(
        [
            np.full(size, round(value), np.uint8)
            for value, size in zip(values, (height * 32, *[height * 8] * 2), strict=True)
        ]
    ).reshape(height * 3 // 2, 32)
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        video = container.add_stream("libx264", rate=10)
        video.width, video.height, video.options = 32, height, {"crf": "0"}
        container.mux(video.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")))
        container.mux(video.encode(None))
    (frame,) = frames_of(tmp_path / "a.mkv")
    assert np.abs(frame.pixels.mean(axis=(0, 1)) - 255 * colour).max() <= 2


def test_compression_is_slight(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    smooth = rng.integers(0, 256, (6, 8, 3)).repeat(8, axis=0).repeat(8, axis=1).astype(np.uint8)
    seen = see(written(tmp_path / "a.mp4", [smooth] * 3, info_of(48, 64), [0, 40, 80]))
    assert np.abs(seen.pixels[1].astype(int) - smooth).mean() < 8


def test_pixels_that_are_not_square(tmp_path: Path) -> None:
    """The aspect is kept, and turned with the picture."""
    info = VideoInfo(Path("source"), 64, 48, MS, Fraction(25), pixel_aspect=Fraction(4, 3))
    path = written(tmp_path / "a.mp4", moving_frames(2), info, [0, 40])
    assert see(path).aspect == Fraction(4, 3)
    with ContainerVideo(path) as video:
        assert video.info.pixel_aspect == Fraction(4, 3)
    orient(path, MATRICES["clockwise"])
    with ContainerVideo(path) as video:
        assert video.info.pixel_aspect == Fraction(3, 4)


def change_of_size(path: Path) -> Path:
    """Motion JPEG whose frames are 64 x 48, then 96 x 64."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("mjpeg", rate=10)
        video.width, video.height, video.pix_fmt = 64, 48, "yuvj420p"
        for index, (width, height) in enumerate([(64, 48)] * 4 + [(96, 64)] * 2):
            encoder = av.CodecContext.create("mjpeg", "w")
            encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuvj420p"
            encoder.time_base = Fraction(1, 10)
            picture = av.VideoFrame.from_ndarray(moving_frames(1, height=height, width=width)[0], "rgb24")
            for packet in encoder.encode(picture.reformat(format="yuvj420p")):
                packet.stream = video
                packet.pts = packet.dts = index
                packet.time_base, packet.duration = Fraction(1, 10), 1
                container.mux(packet)
    return path


def test_frames_that_change_their_size(tmp_path: Path) -> None:
    path = change_of_size(tmp_path / "a.mkv")
    with pytest.raises(DataError, match="change their size, from 64 x 48 to 96 x 64 px after 4 frames"):
        frames_of(path)


def test_no_rate_and_no_times(tmp_path: Path) -> None:
    """An MP4 all of whose frames are at time 0: the table of times says that each lasts 0."""
    path = write_video(tmp_path / "a.mp4", moving_frames(5), codec_options={"bf": "0"})
    data = bytearray(path.read_bytes())
    at = data.index(b"stts") + 4 + 4 + 4 + 4
    assert struct.unpack(">I", data[at : at + 4])[0] > 0
    data[at : at + 4] = bytes(4)
    path.write_bytes(data)
    with pytest.raises(DataError, match="no rising time stamps"):
        frames_of(path)


def test_a_single_time_stamp_that_does_not_rise(tmp_path: Path) -> None:
    """It is put behind the one before it; the others stay. The third entry of an MP4's table of times is set to 0."""
    times = [0, 40, 90, 150, 220]
    path = written(tmp_path / "a.mp4", moving_frames(5), info_of(48, 64, Fraction(1, 16000)), times)
    ticks = [frame.time for frame in frames_of(path)]
    data = bytearray(path.read_bytes())
    at = data.index(b"stts") + 12
    assert struct.unpack(">8I", data[at : at + 32]) == (1, 40, 1, 50, 1, 60, 1, 70)
    data[at + 8 + 4 : at + 8 + 8] = bytes(4)
    path.write_bytes(data)
    assert [frame.time for frame in frames_of(path)] == [0, 40, 41, 100, 170]
    assert ticks == times


@pytest.mark.parametrize("kind", ["text", "png", "playlist", "concat", "sound only", "no frames"])
def test_what_is_no_video(tmp_path: Path, kind: str) -> None:
    """Lists that name other files are not followed, whatever they are called."""
    secret = write_video(tmp_path / "secret.mkv", moving_frames(2), sounds=["aac"])
    path = tmp_path / "a.mp4"
    if kind == "sound only":
        with av.open(str(secret)) as source, av.open(str(path), "w") as target:
            track = target.add_stream_from_template(source.streams.audio[0])
            for packet in source.demux(source.streams.audio[0]):
                if packet.dts is not None:
                    packet.stream = track
                    target.mux(packet)
    elif kind == "no frames":
        with av.open(str(path), "w") as target:
            video = target.add_stream("libx264", rate=10)
            video.width, video.height = 64, 48
            target.start_encoding()
    else:
        path.write_bytes(
            {
                "text": b"hello process_group" * 99,
                "png": b"\x89PNG\r\n\x1a\n" + bytes(99),
                "playlist": b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nsecret.mkv\n#EXT-X-ENDLIST\n",
                "concat": b"ffconcat version 1.0\nfile 'secret.mkv'\n",
            }[kind]
        )
    with pytest.raises(DataError, match=r"a\.mp4: (damaged, or no video|holds no)"):
        frames_of(path)


def test_too_large_frames(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mkv", [np.zeros((4336, 8192, 3), np.uint8)], codec="mjpeg", pixel_format="yuvj420p")
    with pytest.raises(DataError, match=f"too large: videos are read up to {MAX_FRAME_PIXELS} pixels a frame"):
        frames_of(tmp_path / "a.mkv")


def test_cut_off_where_no_size_is_announced(tmp_path: Path) -> None:
    """An MP4 whose data reach "to the end of the file" (size 0): the frame that is cut is noticed."""
    path = write_video(tmp_path / "a.mp4", moving_frames(40), options={"movflags": "+faststart"})
    data = path.read_bytes()
    at = data.index(b"mdat") - 4
    path.write_bytes(data[:at] + bytes(4) + data[at + 4 :])
    assert len(frames_of(path)) == 40
    path.write_bytes(path.read_bytes()[: -len(data) // 5])
    with pytest.raises(DataError, match=r"damaged or cut off after \d+ frames"):
        frames_of(path)


def test_damage_in_the_middle(tmp_path: Path) -> None:
    """Nothing crashes, and what is wrong is said, or all frames are there."""
    path = write_video(tmp_path / "a.mp4", moving_frames(40), options={"movflags": "+faststart"})
    whole = path.read_bytes()
    rng = np.random.default_rng(1)
    for _ in range(30):
        data = bytearray(whole)
        for at in rng.integers(0, len(data), 40):
            data[at] = rng.integers(0, 256)
        path.write_bytes(data)
        with contextlib.suppress(DataError):
            assert len(frames_of(path)) <= 60
