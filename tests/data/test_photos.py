"""Photographs of every odd kind: converted properly, or left out with a reason."""

from __future__ import annotations

import errno
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edgesr.data import photos
from edgesr.errors import DataError
from edgesr.inference.decode import PhotoError
from edgesr.recipe import Data


def colours(height: int = 24, width: int = 32, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def save(path: Path, pixels: NDArray[np.uint8] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(colours() if pixels is None else pixels).save(path)
    return path


def png_of_16_bits(path: Path, pixels: NDArray[np.uint16]) -> Path:
    """An RGB PNG with two bytes per value, which Pillow cannot write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    height, width, _ = pixels.shape
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0))
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    body = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + body)
    return path


def test_find_is_recursive_sorted_and_by_extension(tmp_path: Path) -> None:
    names = ["b.png", "a/z.JPG", "a/deep/er/y.webp", "c.tiff"]
    for name in names:
        save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / "folder.png").mkdir()
    assert photos.find(tmp_path) == sorted(tmp_path / name for name in names)


def test_find_refuses_a_missing_folder_a_file_and_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere is missing, expected a folder"):
        photos.find(tmp_path / "nowhere")
    with pytest.raises(DataError, match="no image in"):
        photos.find(tmp_path)
    with pytest.raises(DataError, match="is a file"):
        photos.find(save(tmp_path / "a.png"))


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.bmp", "a.tif"])
def test_rgb_files_are_read_as_they_are(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    Image.fromarray(colours()).save(path, lossless=True)
    pixels = photos.decode(path)
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels, colours())


def test_grey_becomes_three_equal_channels(tmp_path: Path) -> None:
    grey = colours()[..., 0]
    pixels = photos.decode(save(tmp_path / "a.png", grey))
    assert np.array_equal(pixels, np.stack([grey] * 3, 2))


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_16_bit_grey_is_scaled_and_rounded_not_truncated(tmp_path: Path, name: str) -> None:
    grey = np.array([[0, 128, 129, 200], [255, 256, 32768, 65535]], np.uint16)
    Image.fromarray(grey).save(tmp_path / name)
    expected = np.floor(grey / 257 + 0.5).astype(np.uint8)
    assert np.array_equal(photos.decode(tmp_path / name)[..., 2], expected)
    assert expected.tolist() == [[0, 0, 1, 1], [1, 1, 128, 255]]


def test_16_bit_rgb_is_scaled_within_one_step(tmp_path: Path) -> None:
    wide = np.random.default_rng(0).integers(0, 65536, (8, 8, 3), np.uint16)
    pixels = photos.decode(png_of_16_bits(tmp_path / "a.png", wide))
    assert np.abs(pixels - wide / 257).max() <= 1


def test_what_is_in_a_file_is_decoded_as_the_file_is(tmp_path: Path) -> None:
    """Of 16 bits a PNG is read twice, each time from its beginning."""
    wide = np.random.default_rng(0).integers(0, 65536, (8, 8, 3), np.uint16)
    path = png_of_16_bits(tmp_path / "a.png", wide)
    found = photos.decode(Path("in a shard"), data=path.read_bytes())
    assert np.array_equal(found, photos.decode(path))


def test_16_bit_grey_is_turned_upright_too(tmp_path: Path) -> None:
    grey = np.arange(12, dtype=np.uint16).reshape(3, 4) * 257
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(grey).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(photos.decode(tmp_path / "a.png")[..., 0], np.rot90(grey // 257, -1))


def test_32_bit_pixels_beyond_65535_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 70000]], np.int32)).save(tmp_path / "a.tif")
    with pytest.raises(PhotoError, match=r"32-bit pixels, 0\.\.70000, expected 0\.\.65535"):
        photos.decode(tmp_path / "a.tif")


def test_floating_point_pixels_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(PhotoError, match="floating-point"):
        photos.decode(tmp_path / "a.tif")


def test_cmyk_jpeg_becomes_the_same_colour_in_rgb(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(path, quality=95)  # magenta, yellow: red
    assert np.abs(photos.decode(path).astype(int) - (255, 0, 0)).max() <= 4


def test_palette_becomes_its_colours(tmp_path: Path) -> None:
    image = Image.fromarray(colours()).quantize(16)
    image.save(tmp_path / "a.gif")
    assert np.array_equal(photos.decode(tmp_path / "a.gif"), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    stored = colours()
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(tmp_path / "a.png", exif=exif)
    mirrored = stored[:, ::-1]
    upright = {
        1: stored,
        2: mirrored,
        3: np.rot90(stored, 2),
        4: stored[::-1],
        5: stored.transpose(1, 0, 2),
        6: np.rot90(stored, -1),
        7: np.rot90(stored, 2).transpose(1, 0, 2),
        8: np.rot90(stored),
    }
    assert np.array_equal(photos.decode(tmp_path / "a.png"), upright[orientation])


def test_transparency_is_dropped_with_a_warning_and_the_colours_stay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alpha = np.zeros((24, 32, 1), np.uint8)
    path = save(tmp_path / "a.png", np.concatenate([colours(), alpha], 2))
    assert np.array_equal(photos.decode(path), colours())
    assert f"warning: {path}: transparency dropped" in capsys.readouterr().err


def test_an_opaque_alpha_channel_is_dropped_without_a_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    opaque = np.full((24, 32, 1), 255, np.uint8)
    path = save(tmp_path / "a.png", np.concatenate([colours(), opaque], 2))
    assert np.array_equal(photos.decode(path), colours())
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png", "a.tif"])
def test_animated_and_many_paged_files_are_refused(tmp_path: Path, name: str) -> None:
    frames = [Image.fromarray(colours(seed=seed)) for seed in range(3)]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
    with pytest.raises(PhotoError, match="3 frames or pages"):
        photos.decode(tmp_path / name)


def test_of_a_phones_jpeg_with_further_pictures_the_first_is_taken(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=frames[1:], quality=95)
    assert np.abs(photos.decode(tmp_path / "a.jpg").astype(int) - (255, 0, 0)).max() <= 4


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp"])
def test_truncated_files_are_refused(tmp_path: Path, name: str) -> None:
    path = save(tmp_path / name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(PhotoError, match=r"cannot be read: .+"):
        photos.decode(path)


def test_every_single_flipped_byte_is_read_or_refused_never_a_crash(tmp_path: Path) -> None:
    whole = save(tmp_path / "a.png", colours(8, 8)).read_bytes()
    for position in range(8, len(whole), 3):
        damaged = tmp_path / "damaged.png"
        damaged.write_bytes(
            whole[:position] + bytes([whole[position] ^ 255]) + whole[position + 1 :]
        )
        try:
            assert photos.decode(damaged).shape[2] == 3
        except PhotoError as error:
            assert error.reason  # noqa: PT017


def test_text_by_the_name_of_an_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no image at all")
    with pytest.raises(PhotoError, match="not an image, or damaged"):
        photos.decode(tmp_path / "a.png")


def test_a_file_that_is_gone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match="does not exist"):
        photos.decode(tmp_path / "gone.png")


@pytest.mark.parametrize("limit", [500, 100])  # 768 pixels: Pillow warns of one, refuses the other
def test_a_decompression_bomb_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    path = save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(PhotoError, match="decompression bomb"):
        photos.decode(path)


def test_a_tiny_image_is_refused_by_its_size(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", colours(3, 3))
    assert photos.decode(path).shape == (3, 3, 3)
    with pytest.raises(PhotoError, match="3 x 3 pixels, at least 4 x 4 are needed"):
        photos.decode(path, smallest=4)


def test_decode_all_goes_on_past_bad_files_and_names_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = [save(tmp_path / "a.png"), save(tmp_path / "z.png")]
    bad = tmp_path / "m.png"
    bad.write_text("no image")
    tiny = save(tmp_path / "n.png", colours(3, 3))
    decoded = list(photos.decode_all([good[0], bad, tiny, good[1]], smallest=4))
    assert [(photo.name, photo.path) for photo in decoded] == [("a", good[0]), ("z", good[1])]
    warnings = capsys.readouterr().err
    assert f"left out {bad}: cannot be read: not an image" in warnings
    assert f"left out {tiny}: 3 x 3 pixels" in warnings


def test_decode_all_raises_where_nothing_is_usable(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none of the photographs"):
        list(photos.decode_all([save(tmp_path / "a.png", colours(3, 3))], smallest=4))


def test_embedded_photographs_are_all_there_and_the_astronaut_is_held_out() -> None:
    split = photos.split(Data())
    assert [path.stem for path in split.validation] == ["astronaut"]
    assert [path.stem for path in split.train] == [
        "coffee",
        "chelsea",
        "rocket",
        "hubble_deep_field",
        "retina",
        "motorcycle_left",
    ]
    decoded = list(photos.decode_all(split.train + split.validation, smallest=300))
    assert len(decoded) == 7


def test_of_a_plain_folder_evenly_spaced_images_are_held_out(tmp_path: Path) -> None:
    for n in range(20):
        save(tmp_path / f"{n:02}.png", colours(4, 4))
    split = photos.split(Data(photos=str(tmp_path), validation=2))
    assert [path.stem for path in split.validation] == ["05", "15"]
    assert sorted(split.train + split.validation) == photos.find(tmp_path)


@pytest.mark.parametrize(("images", "requested", "held_out"), [(12, 4, 1), (2, 4, 1), (30, 7, 3)])
def test_no_more_than_a_tenth_is_held_out_but_one(
    tmp_path: Path, images: int, requested: int, held_out: int
) -> None:
    """Of twelve photographs, the default of four would leave eight to train on."""
    for n in range(images):
        save(tmp_path / f"{n}.png", colours(4, 4))
    split = photos.split(Data(photos=str(tmp_path), validation=requested))
    assert (len(split.train), len(split.validation)) == (images - held_out, held_out)


def test_too_few_images_to_hold_any_out_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    with pytest.raises(DataError, match="one image alone, expected at least 2"):
        photos.split(Data(photos=str(tmp_path), validation=1))


def test_a_folder_that_cannot_be_read_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its photographs were left out in silence."""
    save(tmp_path / "a.png")
    save(tmp_path / "closed/b.png")
    scandir = os.scandir

    def closed(path: str) -> object:
        if Path(path).name == "closed":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    with monkeypatch.context() as patched:  # what deletes the folder reads it too
        patched.setattr(os, "scandir", closed)
        assert photos.find(tmp_path) == [tmp_path / "a.png"]
    warning = capsys.readouterr().err
    assert f"left out {tmp_path / 'closed'}: cannot be read: Permission denied" in warning


def test_a_linked_folder_and_a_link_to_nothing_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "photographs/a.png")
    elsewhere = save(tmp_path / "elsewhere/b.png").parent
    try:
        (tmp_path / "photographs/linked").symlink_to(elsewhere, target_is_directory=True)
        (tmp_path / "photographs/gone.png").symlink_to(tmp_path / "nowhere.png")
    except OSError:
        pytest.skip("this system makes no symbolic links")
    assert [path.name for path in photos.find(tmp_path / "photographs")] == ["a.png"]
    warnings = capsys.readouterr().err
    assert "linked: a linked folder; its photographs are in" in warnings
    assert "gone.png: no file, or a link to nothing" in warnings


def test_a_folder_named_by_its_owner_is_found_from_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    for n in range(2):
        save(tmp_path / f"photographs/{n}.png")
    assert photos.split(Data(photos="~/photographs")).train == [tmp_path / "photographs/0.png"]


def test_div2ks_layout_brings_its_own_validation_and_ignores_the_lr_images(tmp_path: Path) -> None:
    train = save(tmp_path / "DIV2K_train_HR/0001.png")
    valid = save(tmp_path / "DIV2K_valid_HR/0801.png")
    save(tmp_path / "DIV2K_train_LR_bicubic/X4/0001x4.png")
    split = photos.split(Data(photos=str(tmp_path)))
    assert split == photos.Split([train], [valid])


def test_div2k_without_its_validation_folder_holds_out_of_the_training_images(
    tmp_path: Path,
) -> None:
    for n in range(3):
        save(tmp_path / f"DIV2K_train_HR/000{n}.png")
    save(tmp_path / "DIV2K_train_LR_bicubic/X4/0001x4.png")
    split = photos.split(Data(photos=str(tmp_path), validation=1))
    assert [path.name for path in split.validation] == ["0001.png"]
    assert [path.name for path in split.train] == ["0000.png", "0002.png"]


@pytest.mark.parametrize(
    "inside", ["Set5/baby", "sets/set14/HR/zebra", "BSDS100/3096", "DIV2K_valid_HR/0801"]
)
def test_benchmark_sets_are_refused_even_deep_inside_a_folder(tmp_path: Path, inside: str) -> None:
    for n in range(8):
        save(tmp_path / f"{n}.png")
    save(tmp_path / f"{inside}.png")
    with pytest.raises(DataError, match="is the benchmark set"):
        photos.split(Data(photos=str(tmp_path)))


def test_a_recipes_missing_folder_is_answered_with_the_ways_to_train_without_it() -> None:
    # The full recipes name data/DIV2K, which a bare clone does not have.
    with pytest.raises(DataError, match="data/DIV2K is missing") as raised:
        photos.split(Data(photos="data/DIV2K"))
    assert "--data DIR" in raised.value.remedy
    assert "--small" in raised.value.remedy
