"""``tandem sample`` with a video: frames, times and sound against what the file held; where latents come from."""

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import Finished, leftovers, tandem

import tandem as package
from videos import PERIOD, moving_frames, see, see_gif, write_gif, write_video

LOSSLESS = {"codec": "ffv1", "pixel_format": "bgr0"}


def sample_video(model: Path, video: Path, out: Path, *words: str | Path) -> Finished:
    """Translate a video in this process; it must succeed."""
    finished = tandem("sample", model, video, "--out", out, "--device", "cpu", *words)
    assert finished.status == 0, finished.err
    assert leftovers(out.parent) == []
    return finished


def gif_of(path: Path, frames: list[np.ndarray], durations: int | list[int] = 80) -> Path:
    return write_gif(path, [Image.fromarray(frame) for frame in frames], durations, loop=0)


def as_gif(picture: np.ndarray) -> np.ndarray:
    """A translation with the 256 colours of a GIF."""
    return np.asarray(Image.fromarray(picture).quantize(256, dither=Image.Dither.NONE).convert("RGB"))


@pytest.mark.parametrize(
    ("codecs", "source", "target"),
    [
        ("libx264 aac", "in.mp4", "out.mp4"),
        ("libx264 flac", "in.mkv", "out.mkv"),
        ("libx264 ac3", "in.mkv", "out.mov"),
        ("libx264 pcm_s16le", "in.mov", "out.mkv"),
        ("libvpx-vp9 libopus", "in.webm", "out.mp4"),
        ("mpeg4 pcm_s16le", "in.avi", "out.mp4"),
        ("libx264 libmp3lame", "in.mp4", "out.mov"),
    ],
)
def test_frames_times_and_sound(model: Path, tmp_path: Path, codecs: str, source: str, target: str) -> None:
    """Every time stamp to a millisecond, every packet of sound to the bit, and pictures that are the translations."""
    codec, *sounds = codecs.split()
    video = write_video(tmp_path / source, moving_frames(20), codec=codec, sounds=sounds, rate=12)
    finished = sample_video(model, video, tmp_path / target, "--batch-size", "3", "--seed", "4")
    before, after = see(video), see(tmp_path / target)
    assert len(after.pixels) == len(before.pixels) == 20
    assert {frame.shape for frame in after.pixels} == {(48, 64, 3)}
    assert float(after.rate or 0) == pytest.approx(12, rel=1e-3)
    assert np.abs(np.array(after.times, float) - np.array(before.times, float)).max() <= 0.001
    assert after.sounds == before.sounds
    assert sum(map(len, after.sounds[0])) > 1000
    assert np.abs(np.array(after.sound_times[0], float) - np.array(before.sound_times[0], float)).max() <= 0.002
    assert f"sound copied ({before.codecs[0]})" in finished.err
    assert "flicker" in finished.err
    translator = package.load(model, device="cpu")
    z = translator.sample_z(1, seed=4)
    expected = np.stack([translator(frame, z=z, output="array")[0] for frame in before.pixels]).astype(int)
    for index in (0, 10, 19):
        distances = np.abs(after.pixels[index] - expected).mean(axis=(1, 2, 3))
        assert distances.argmin() % PERIOD == index % PERIOD
        assert distances[index] < 12  # compressed, with half the resolution of the colours


def test_several_sound_tracks(model: Path, tmp_path: Path) -> None:
    """All are copied, in their order."""
    video = write_video(tmp_path / "in.mkv", moving_frames(5), sounds=["aac", "flac"])
    sample_video(model, video, tmp_path / "out.mp4")
    before, after = see(video), see(tmp_path / "out.mp4")
    assert after.codecs == before.codecs == ["aac", "flac"]
    assert after.sounds == before.sounds


def test_sound_that_the_format_does_not_take(model: Path, tmp_path: Path) -> None:
    video = write_video(tmp_path / "in.webm", moving_frames(5), codec="libvpx-vp9", sounds=["libopus"])
    finished = sample_video(model, video, tmp_path / "out.mov")
    assert "left out: the sound (opus, which .mov does not hold as it is; .mkv may)" in finished.err
    assert "WITHOUT the sound (opus" in finished.err
    assert see(tmp_path / "out.mov").sounds == []
    finished = sample_video(model, video, tmp_path / "out.gif")
    assert "left out: the sound (opus: a GIF has none)" in finished.err


def test_variable_frame_rate(model: Path, tmp_path: Path) -> None:
    times = [0, 40, 90, 600, 610, 1500, 1501, 2400]
    video = write_video(
        tmp_path / "in.mkv", moving_frames(8), times=times, time_base=Fraction(1, 1000), rate=25, **LOSSLESS
    )
    for name in ("out.mp4", "out.mov", "out.mkv"):
        sample_video(model, video, tmp_path / name, "--batch-size", "5")
        assert [1000 * time for time in see(tmp_path / name).times] == times


def test_a_gif_stays_as_it_is_but_for_its_look(model: Path, tmp_path: Path) -> None:
    """Size, number of frames, delays, loop; every picture is the translation of its frame, in 256 colours."""
    frames, durations = moving_frames(6, height=45, width=51), [30, 90, 500, 40, 0, 70]
    video = gif_of(tmp_path / "in.gif", frames, durations)
    sample_video(model, video, tmp_path / "out.gif", "--seed", "2")
    shown, delays, loop = see_gif(tmp_path / "out.gif")
    assert (delays, loop) == (durations, 0)
    translator = package.load(model, device="cpu")
    for frame, picture in zip(frames, shown, strict=True):
        expected = translator(frame, z=translator.sample_z(1, seed=2), output="array")[0]
        assert np.array_equal(picture[:, :, :3], as_gif(expected))


def test_a_transparent_gif_stays_transparent(model: Path, tmp_path: Path) -> None:
    frames = []
    for index in range(4):
        frame = Image.new("RGBA", (40, 32), (0, 0, 0, 0))
        frame.paste((200, 40, 40, 255), (5 * index, 4, 5 * index + 14, 20))
        frames.append(frame)
    video = write_gif(tmp_path / "in.gif", frames, 60, loop=0, disposal=2, transparency=0)
    sample_video(model, video, tmp_path / "out.gif")
    (before, _, _), (after, _, _) = see_gif(video), see_gif(tmp_path / "out.gif")
    for one, other in zip(before, after, strict=True):
        assert np.array_equal(one[:, :, 3], other[:, :, 3])
        assert 0 < (one[:, :, 3] == 0).mean() < 1


def test_from_gif_to_video_and_back(model: Path, tmp_path: Path) -> None:
    frames = moving_frames(6)
    video = gif_of(tmp_path / "in.gif", frames, [100, 200, 50, 0, 300, 40])
    sample_video(model, video, tmp_path / "out.mp4")
    seen = see(tmp_path / "out.mp4")
    assert [round(1000 * time) for time in seen.times] == [0, 100, 300, 350, 450, 750]
    assert round(1000 * (seen.times[-1] + seen.durations[-1])) == 790
    sample_video(model, tmp_path / "out.mp4", tmp_path / "again.gif")
    assert see_gif(tmp_path / "again.gif")[1] == [100, 200, 50, 100, 300, 40]


@pytest.mark.parametrize("batch_size", ["1", "4"])
def test_the_same_frame_gives_the_same_frame(model: Path, tmp_path: Path, batch_size: str) -> None:
    """With a fixed latent what stands still stands still, across batches too: no flicker at all."""
    still = moving_frames(1) * 10
    video = write_video(tmp_path / "in.mkv", still, **LOSSLESS)
    finished = sample_video(model, video, tmp_path / "out.gif", "--batch-size", batch_size)
    shown, _, _ = see_gif(tmp_path / "out.gif")
    assert len({frame.tobytes() for frame in shown}) == 1
    assert "flicker 0.00 of 255" in finished.err
    again = [moving_frames(7)[index] for index in (0, 3, 0, 6, 0)]
    sample_video(model, gif_of(tmp_path / "back.gif", again), tmp_path / "back_out.gif")
    shown, _, _ = see_gif(tmp_path / "back_out.gif")
    assert np.array_equal(shown[0], shown[2])
    assert np.array_equal(shown[0], shown[4])
    assert not np.array_equal(shown[0], shown[1])


def test_the_figure_is_that_of_the_frames(model: Path, tmp_path: Path) -> None:
    frames = moving_frames(5)
    finished = sample_video(model, gif_of(tmp_path / "in.gif", frames), tmp_path / "out.gif")
    translator = package.load(model, device="cpu")
    outputs = [translator(frame, z=translator.sample_z(1, seed=0), output="array")[0] for frame in frames]
    x, y = (np.abs(np.diff(np.stack(stack).astype(float), axis=0)).mean(axis=-1) for stack in (frames, outputs))
    expected = np.maximum(0, y - x).mean()
    assert expected > 0.01
    assert f"flicker {expected:.2f} of 255" in finished.err
    assert f"(output {y.mean():.2f}, input {x.mean():.2f})" in finished.err


def test_latents_from_files_and_references(model: Path, tmp_path: Path) -> None:
    frames = moving_frames(2)
    video = gif_of(tmp_path / "in.gif", frames)
    translator = package.load(model, device="cpu")
    (tmp_path / "z.json").write_text(json.dumps([0.5, -1, 2]))
    Image.fromarray(frames[1]).save(tmp_path / "style.png")
    mu, _ = translator.encode(tmp_path / "style.png")
    latents = {("--z", "z.json"): [0.5, -1, 2], ("--reference", "style.png"): mu}
    for (option, name), z in latents.items():
        sample_video(model, video, tmp_path / "out.gif", option, tmp_path / name)
        shown, _, _ = see_gif(tmp_path / "out.gif")
        expected = as_gif(translator(frames[0], z=z, output="array")[0])
        assert np.array_equal(shown[0][:, :, :3], expected)


def test_a_walk(model: Path, tmp_path: Path) -> None:
    """A still video of 2 s, a walk of 1 s round two latents: the second round is the first, its ends the latents."""
    still = [moving_frames(1)[0].copy() for _ in range(20)]
    video = write_video(tmp_path / "in.mkv", still, **LOSSLESS)
    words = ("--walk", "1", "--walk-latents", "2", "--seed", "7")
    sample_video(model, video, tmp_path / "out.gif", *words)
    shown, delays, _ = see_gif(tmp_path / "out.gif")
    assert delays == [100] * 20
    assert all(map(np.array_equal, shown[:10], shown[10:]))
    assert len({frame.tobytes() for frame in shown}) > 3
    translator = package.load(model, device="cpu")
    z = translator.sample_z(2, seed=7)
    for index, latent in ((0, z[0]), (5, z[1])):
        assert np.array_equal(shown[index][:, :, :3], as_gif(translator(still[0], z=latent, output="array")[0]))
    late = [730 + 100 * index for index in range(20)]
    write_video(tmp_path / "late.mkv", still, times=late, time_base=Fraction(1, 1000), **LOSSLESS)
    sample_video(model, tmp_path / "late.mkv", tmp_path / "late.gif", *words)
    assert all(map(np.array_equal, see_gif(tmp_path / "late.gif")[0], shown))
    latents = tmp_path / "z.json"
    latents.write_text(json.dumps(z.tolist()))
    sample_video(model, video, tmp_path / "again.gif", "--walk", "1", "--z", latents)
    assert (tmp_path / "again.gif").read_bytes() == (tmp_path / "out.gif").read_bytes()


def test_a_model_without_a_code(make_bundle: Callable[..., Path], tmp_path: Path) -> None:
    """It translates; whatever says a latent has no effect and is refused."""
    bundle = make_bundle("plain", with_encoder=False, generator={"latent_dim": 0, "injection": "none"})
    video = gif_of(tmp_path / "in.gif", moving_frames(3))
    sample_video(bundle, video, tmp_path / "out.gif", "--batch-size", "2")
    assert len(see_gif(tmp_path / "out.gif")[0]) == 3
    (tmp_path / "z.json").write_text("[[1, 2]]")
    for words in (["--seed", "1"], ["--z", tmp_path / "z.json"], ["--walk", "2"], ["--reference", "x.png"]):
        refused = tandem("sample", bundle, video, "--out", tmp_path / "no.gif", *words)
        assert refused.status == 2
        assert f"{words[0]}: without effect, for this model has no latent" in refused.err
    assert not (tmp_path / "no.gif").exists()


@pytest.mark.parametrize("channels", [(1, 1), (4, 4), (3, 2), (1, 3)])
def test_other_channels(make_bundle: Callable[..., Path], tmp_path: Path, channels: tuple[int, int]) -> None:
    bundle = make_bundle("channels", channels=channels)
    video = gif_of(tmp_path / "in.gif", moving_frames(3))
    for name in ("out.gif", "out.mp4"):
        sample_video(bundle, video, tmp_path / name)
    assert len(see_gif(tmp_path / "out.gif")[0]) == len(see(tmp_path / "out.mp4").pixels) == 3


@pytest.mark.parametrize("fit", ["pad", "resize"])
def test_odd_sizes(model: Path, tmp_path: Path, fit: str) -> None:
    frames = moving_frames(3, height=37, width=51)
    video = write_video(tmp_path / "in.mkv", frames, **LOSSLESS)
    finished = sample_video(model, video, tmp_path / "out.mp4", "--fit", fit)
    seen = see(tmp_path / "out.mp4")
    assert {frame.shape for frame in seen.pixels} == {(37, 51, 3)}
    assert "yuv444p" in finished.err
    translator = package.load(model, device="cpu")
    expected = translator(frames[1], z=translator.sample_z(1), fit=fit, output="array")[0].astype(int)
    assert np.abs(seen.pixels[1] - expected).mean() < 6


def test_a_gif_of_one_frame_is_an_image(model: Path, tmp_path: Path) -> None:
    Image.fromarray(moving_frames(1)[0]).save(tmp_path / "one.gif")
    finished = tandem("sample", model, tmp_path / "one.gif", "--out", tmp_path / "out", "--num-samples", "1")
    assert finished.status == 0, finished.err
    assert (tmp_path / "out" / "index.html").is_file()
