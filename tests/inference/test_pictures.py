"""Pictures in and out: what a file holds beside 8-bit colours is kept, or its loss is said."""

from __future__ import annotations

import errno
import io
import os
import resource
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageDraw

from edgesr import Upscaler, console
from edgesr.deploy import bytes_io
from edgesr.errors import DataError
from edgesr.inference import decode
from edgesr.inference.tiling import Pixels
from edgesr.inference.upscale_files import upscale_file

EXPORTS = Path(__file__).parents[2] / "exports"
DATE, MODEL, ORIENTATION = 306, 272, 274
Said = Callable[[], str]


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    return Upscaler(EXPORTS / "edge-xs", threads=1)


@pytest.fixture(scope="module")
def of_bytes(tmp_path_factory: pytest.TempPathFactory) -> Upscaler:
    import onnx
    from onnx import helper

    model = onnx.load(EXPORTS / "edge-xs/model.onnx")
    facts = {prop.key: prop.value for prop in model.metadata_props}
    model = bytes_io.to_bytes_io(model)
    helper.set_model_props(model, facts | {"edgesr.layout": "NHWC", "edgesr.range": "0..255"})
    path = tmp_path_factory.mktemp("bytes") / "model.uint8-io.onnx"
    onnx.save(model, path)
    return Upscaler(path, threads=1)


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    return lambda: capsys.readouterr().err


def smooth(*shape: int) -> Pixels:
    return np.linspace(30, 220, int(np.prod(shape))).reshape(shape).astype(np.uint8)


def enlarged(upscaler: Upscaler, source: Path, suffix: str = "png") -> Image.Image:
    target = source.with_name(f"big.{suffix}")
    upscale_file(upscaler, source, target)
    with Image.open(target) as result:
        result.load()
        return result


def png(pixels: Pixels, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of the pixels' depth, grey, with or without alpha, or colour, with or without alpha."""
    height, width = pixels.shape[:2]
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    depth, kind = 8 * pixels.itemsize, {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + row.astype(f">u{pixels.itemsize}").tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    parts = [(b"IHDR", head), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    written = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(written)


def chunks(path: Path) -> dict[bytes, bytes]:
    data, at, found = path.read_bytes(), 8, {}
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        found[data[at + 4 : at + 8]] = data[at + 8 : at + 8 + size]
        at += 12 + size
    return found


DEEP = {"grey": (), "grey and alpha": (2,), "colour": (3,), "colour and alpha": (4,)}


@pytest.mark.parametrize("kind", DEEP)
def test_all_sixteen_bits_of_a_png_are_read(tmp_path: Path, kind: str, said: Said) -> None:
    pixels = np.random.default_rng(0).integers(0, 65536, (5, 7, *DEEP[kind])).astype(np.uint16)
    (tmp_path / "deep.png").write_bytes(png(pixels))
    expected = pixels[..., [0, 0, 0, 1]] if kind == "grey and alpha" else pixels
    assert np.array_equal(decode.read(tmp_path / "deep.png").pixels, expected)
    assert said() == ""


@pytest.mark.parametrize("channels", [(), (3,)], ids=["grey", "colour"])
def test_a_ramp_of_sixteen_bits_stays_one(
    upscaler: Upscaler, tmp_path: Path, channels: tuple[int, ...], said: Said
) -> None:
    """Its 60 steps lie closer than levels of 8 bits do."""
    ramp = np.linspace(20000, 30000, 60).astype(np.uint16)
    pixels = np.broadcast_to(ramp.reshape(1, 60, *(1 for _ in channels)), (24, 60, *channels))
    (tmp_path / "ramp.png").write_bytes(png(pixels))
    enlarged(upscaler, tmp_path / "ramp.png")
    result = decode.read(tmp_path / "big.png").pixels
    assert (result.dtype, result.shape) == (np.uint16, (96, 240, *channels))
    middle = result[48].reshape(240, -1)[20:-20, 0].astype(int)
    assert len(np.unique(middle)) >= 50  # one for each step; of 8 bits it would be 33
    assert np.abs(middle - np.linspace(19937, 30063, 240)[20:-20]).max() < 300
    assert said() == ""


def test_an_array_of_sixteen_bits_gives_one_and_bytes_refuse_it(
    upscaler: Upscaler, of_bytes: Upscaler
) -> None:
    deep = (smooth(9, 8, 3).astype(np.uint16)) * 257
    result = upscaler(deep)
    assert result.dtype == np.uint16
    assert np.abs(result / 257 - upscaler(smooth(9, 8, 3))).max() <= 0.51
    with pytest.raises(DataError, match=r"uint16 \(9, 8, 3\): expected uint8 .* \(H, W, 4\)\n"):
        of_bytes(deep)


def test_where_sixteen_bits_cannot_be_kept_that_is_said(
    upscaler: Upscaler, of_bytes: Upscaler, tmp_path: Path, said: Said
) -> None:
    path = tmp_path / "deep.png"
    path.write_bytes(png(smooth(6, 8).astype(np.uint16) * 257))
    assert enlarged(of_bytes, path).mode == "L"
    assert "deep.png: 16 bits are reduced to 8: the model takes bytes" in said()
    assert enlarged(upscaler, path, "jpg").mode == "L"
    assert "deep.png: 16 bits are reduced to 8: only a PNG holds more" in said()
    path.write_bytes(png(smooth(6, 8, 4).astype(np.uint16) * 257))
    image = Image.fromarray(smooth(6, 8).astype(np.uint16) * 257)
    assert upscaler(image).mode == "I;16"
    assert of_bytes(image).mode == "L"
    assert "image: 16 bits are reduced to 8" in said()


@pytest.mark.parametrize("channels", [(), (3,)], ids=["grey", "colour"])
def test_a_transparent_colour_of_sixteen_bits_is_kept(
    upscaler: Upscaler, tmp_path: Path, channels: tuple[int, ...]
) -> None:
    """Another grey with the same upper eight bits is opaque."""
    pixels = np.full((8, 12, *channels), 40000, np.uint16)
    pixels[:, 6:] += 1
    clear = struct.pack(">H", 40000) * (3 if channels else 1)
    (tmp_path / "key.png").write_bytes(png(pixels, (b"tRNS", clear)))
    enlarged(upscaler, tmp_path / "key.png")
    result = decode.read(tmp_path / "big.png").pixels
    assert (result.dtype, result.shape) == (np.uint16, (32, 48, 4))
    assert result[:, :16, 3].max() == 0
    assert result[:, 32:, 3].min() == 65535


def test_the_grey_pictures_that_lost_their_depth_keep_it(
    upscaler: Upscaler, shared: Path, tmp_path: Path, said: Said
) -> None:
    for name, shape in (("ramp16", (96, 128)), ("tbwn0g16", (128, 128, 4))):
        upscale_file(upscaler, shared / f"cases/{name}.png", tmp_path / "big.png")
        result = decode.read(tmp_path / "big.png").pixels
        assert (result.dtype, result.shape) == (np.uint16, shape)
    assert said() == ""


GAMMA = (b"gAMA", struct.pack(">I", 100000))
POINTS = (b"cHRM", struct.pack(">8I", 31000, 32000, 70000, 29000, 17000, 79000, 13000, 4000))
SRGB = (b"sRGB", b"\0")


@pytest.mark.parametrize("said_of_colour", [[GAMMA], [POINTS], [GAMMA, POINTS], [SRGB]])
def test_what_a_png_says_of_its_colours_is_carried_over(
    upscaler: Upscaler, tmp_path: Path, said_of_colour: list[tuple[bytes, bytes]], said: Said
) -> None:
    (tmp_path / "a.png").write_bytes(png(smooth(6, 8, 3), *said_of_colour))
    enlarged(upscaler, tmp_path / "a.png")
    found = chunks(tmp_path / "big.png")
    assert all(found[name] == data for name, data in said_of_colour)
    assert said() == ""


@pytest.mark.parametrize("suffix", ["jpg", "webp"])
def test_colours_that_a_format_cannot_state_are_said(
    upscaler: Upscaler, tmp_path: Path, suffix: str, said: Said
) -> None:
    (tmp_path / "a.png").write_bytes(png(smooth(6, 8, 3), GAMMA, POINTS))
    enlarged(upscaler, tmp_path / "a.png", suffix)
    assert "gAMA and cHRM are left out" in said()
    usual = struct.pack(">I", 45455)
    (tmp_path / "a.png").write_bytes(png(smooth(6, 8, 3), SRGB, (b"gAMA", usual)))
    enlarged(upscaler, tmp_path / "a.png", suffix)
    assert said() == ""  # sRGB is what holds where nothing is said


def test_the_gamma_of_the_case_is_kept(upscaler: Upscaler, shared: Path, tmp_path: Path) -> None:
    upscale_file(upscaler, shared / "cases/gama.png", tmp_path / "big.png")
    assert chunks(tmp_path / "big.png")[b"gAMA"] == GAMMA[1]


def dated(path: Path, orientation: int = 6) -> Path:
    exif = Image.Exif()
    exif[ORIENTATION], exif[DATE], exif[MODEL] = orientation, "2026:01:02 03:04:05", "Camera X"
    exif[0x8769] = {0x9003: "2025:12:31 23:59:59", 0xA002: 8, 0xA003: 6, 0x927C: b"notes"}
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" tiff:Orientation="6">hello</x:xmpmeta>'
    image = Image.fromarray(smooth(6, 8, 3))
    image.save(path, exif=exif, dpi=(300, 200), xmp=xmp)
    return path


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_date_camera_and_dpi_are_kept_and_the_picture_is_upright(
    upscaler: Upscaler, tmp_path: Path, suffix: str, said: Said
) -> None:
    result = enlarged(upscaler, dated(tmp_path / "a.jpg"), suffix)
    exif = result.getexif()
    assert result.size == (24, 32)
    assert (exif[DATE], exif[MODEL]) == ("2026:01:02 03:04:05", "Camera X")
    assert exif.get_ifd(0x8769) == {0x9003: "2025:12:31 23:59:59"}
    assert exif.get(ORIENTATION, 1) == 1
    assert (exif[282], exif[283], exif[296]) == (200, 300, 2)  # a quarter turn swaps them
    assert b'tiff:Orientation="1">hello' in result.info["xmp"]
    if suffix != "webp":
        assert result.info["dpi"] == pytest.approx((200, 300), abs=0.1)
    assert said() == ""


def test_a_picture_in_memory_keeps_them_too(upscaler: Upscaler, tmp_path: Path) -> None:
    with Image.open(dated(tmp_path / "a.jpg")) as image:
        result = upscaler(image)
    again = io.BytesIO()
    result.save(again, "JPEG", exif=result.info["exif"])
    with Image.open(again) as image:
        assert (image.size, image.getexif()[DATE]) == ((24, 32), "2026:01:02 03:04:05")


def test_the_photograph_of_the_case_keeps_date_camera_and_dpi(
    upscaler: Upscaler, shared: Path, tmp_path: Path
) -> None:
    upscale_file(upscaler, shared / "cases/exif6-dated.jpg", tmp_path / "big.png")
    with Image.open(tmp_path / "big.png") as result:
        assert result.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        exif = result.getexif()
    kept = exif[DATE], exif[MODEL], exif.get(ORIENTATION, 1)
    assert kept == ("2026:01:02 03:04:05", "Camera X", 1)


def test_dots_per_inch_alone_are_kept_in_webp(upscaler: Upscaler, tmp_path: Path) -> None:
    Image.fromarray(smooth(6, 8, 3)).save(tmp_path / "a.png", dpi=(300, 300))
    assert enlarged(upscaler, tmp_path / "a.png", "webp").getexif()[282] == pytest.approx(300, 1e-3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_as_pillow_does(tmp_path: Path, orientation: int) -> None:
    from PIL import ImageOps

    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(smooth(5, 7, 3)).save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    assert np.array_equal(decode.read(tmp_path / "a.png").pixels, expected)


def test_words_in_a_file_that_are_not_carried_over_are_said(tmp_path: Path, said: Said) -> None:
    data = png(smooth(6, 8, 3), (b"tEXt", b"Author\0me"))
    (tmp_path / "a.png").write_bytes(data)
    decode.read(tmp_path / "a.png")
    assert "a.png: not carried over: Author" in said()


@pytest.mark.parametrize("damage", [b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"Exif\0\0XX", b"E"])
def test_damaged_exif_does_not_keep_a_picture_from_being_enlarged(
    upscaler: Upscaler, tmp_path: Path, damage: bytes
) -> None:
    Image.fromarray(smooth(6, 8, 3)).save(tmp_path / "a.jpg", exif=damage)
    assert enlarged(upscaler, tmp_path / "a.jpg").size == (32, 24)


def profile(size: int) -> bytes:
    """An ICC profile of `size` bytes that does not compress."""
    whole = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    whole += np.random.default_rng(0).bytes(size - len(whole))
    whole[:4] = struct.pack(">I", size)
    return bytes(whole)


@pytest.mark.parametrize(("size", "kept"), [(1 << 20, True), (3_000_000, False)])
def test_a_png_with_a_large_profile_can_be_opened_again(
    upscaler: Upscaler, tmp_path: Path, size: int, kept: bool, said: Said
) -> None:
    large = profile(size)
    Image.fromarray(smooth(6, 8, 3)).save(tmp_path / "a.jpg", icc_profile=large)
    result = enlarged(upscaler, tmp_path / "a.jpg")
    assert ("icc_profile" in result.info) == kept
    assert ("ICC profile of 3000000 bytes is left out" in said()) != kept
    assert enlarged(upscaler, tmp_path / "a.jpg", "jpg").info["icc_profile"] == large


def test_exif_and_xmp_that_a_jpeg_cannot_hold_are_left_out_and_said(
    upscaler: Upscaler, tmp_path: Path, said: Said
) -> None:
    exif = Image.Exif()
    exif[270] = "x" * 70_000
    image = Image.fromarray(smooth(6, 8, 3))
    image.save(tmp_path / "a.webp", exif=exif, xmp=b"y" * 70_000)
    assert enlarged(upscaler, tmp_path / "a.webp", "jpg").size == (32, 24)
    heard = said()
    assert "the EXIF of 700" in heard
    assert "the XMP of 70000 bytes" in heard


def test_coloured_edges_keep_their_resolution_in_jpeg(upscaler: Upscaler, tmp_path: Path) -> None:
    image = Image.new("RGB", (64, 64), "blue")
    ImageDraw.Draw(image).text((5, 20), "red text", fill="red")
    image.save(tmp_path / "a.png")
    exact = np.asarray(enlarged(upscaler, tmp_path / "a.png")).astype(float)
    result = enlarged(upscaler, tmp_path / "a.png", "jpg")
    assert [layer[1:3] for layer in result.layer] == [(1, 1)] * 3  # type: ignore[attr-defined]
    error = np.mean((np.asarray(result) - exact) ** 2)
    assert 10 * np.log10(255**2 / error) > 40  # 4:2:0 has about 33 dB


def test_a_name_as_long_as_the_file_system_allows(upscaler: Upscaler, tmp_path: Path) -> None:
    Image.fromarray(smooth(6, 8, 3)).save(tmp_path / "a.png")
    target = tmp_path / ("x" * 246 + ".png")
    upscale_file(upscaler, tmp_path / "a.png", target)
    assert target.is_file()


def test_of_a_link_the_file_that_it_points_to_is_written(
    upscaler: Upscaler, tmp_path: Path
) -> None:
    Image.fromarray(smooth(6, 8, 3)).save(tmp_path / "a.png")
    (tmp_path / "there").mkdir()
    (tmp_path / "there/old.png").write_text("old")
    (tmp_path / "link.png").symlink_to("there/old.png")
    upscale_file(upscaler, tmp_path / "a.png", tmp_path / "link.png")
    assert (tmp_path / "link.png").is_symlink()
    with Image.open(tmp_path / "there/old.png") as result:
        assert result.size == (32, 24)


@pytest.mark.parametrize(
    "name", [b"a\nwarning: b", b"\x1b[2J", b"caf\xe9", b"[bold]x", b"[_x]"], ids=repr
)
def test_any_name_that_the_file_system_has_is_enlarged(
    upscaler: Upscaler, tmp_path: Path, name: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = (tmp_path / (part + os.fsdecode(name) + ".png") for part in ("", "big"))
    Image.fromarray(smooth(6, 8, 3)).convert("CMYK").save(source, "TIFF")
    upscale_file(upscaler, source, target)
    assert target.is_file()
    err = capsys.readouterr().err
    assert console.printable(source.name) in err
    assert (err.count("\n"), "\x1b" in err) == (1, False)


def test_a_fifo_or_device_is_refused_and_not_waited_for(upscaler: Upscaler, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    Image.fromarray(smooth(6, 8, 3)).save(tmp_path / "b.png")
    for path in (tmp_path / "a.png", Path("/dev/zero"), tmp_path):
        with pytest.raises(DataError, match="is not a regular file"):
            upscale_file(upscaler, path, tmp_path / "big.png")
    with pytest.raises(DataError, match="is not a regular file"):
        upscale_file(upscaler, tmp_path / "b.png", tmp_path / "a.png")


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """The system refuses to write on, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_a_disk_that_is_full_half_way_leaves_nothing(
    upscaler: Upscaler, tmp_path: Path, suffix: str
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    target = tmp_path / f"big.{suffix}"
    target.write_text("old")
    with no_file_larger_than(2000), pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
        upscale_file(upscaler, tmp_path / "a.png", target)
    assert target.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", target.name]


def test_upscaling_loads_neither_torch_nor_onnx_nor_pydantic() -> None:
    """An app installs what it needs to enlarge pictures, not what trains and exports."""
    code = (
        "import sys, edgesr, edgesr.inference.upscale_files; edgesr.Upscaler;"
        "sys.exit(repr({'torch', 'onnx', 'pydantic', 'typer'} & set(sys.modules) or ''))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "''"


COMMAND = (
    "import resource, sys; from edgesr import cli;"
    "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2); cli.main()"
)


def run(limit: int, *arguments: Path | str) -> subprocess.CompletedProcess[str]:
    """`edgesr upscale` where no file may be larger than `limit`."""
    words = ["upscale", EXPORTS / "edge-xs", *arguments]
    command = [sys.executable, "-c", COMMAND, str(limit), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_full_disk_is_one_line_with_the_path_and_an_exit_code(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "in/large.png")
    Image.new("RGB", (8, 8)).save(tmp_path / "in/small.png")
    out = tmp_path / "out"
    single = run(4000, tmp_path / "in/large.png", "-o", out / "big.png")
    assert single.returncode == 3  # the machine's refusal, as in every command
    head, remedy = single.stderr.splitlines()
    assert (head[:7], str(out / "big.png") in head) == ("error: ", True)
    assert remedy.startswith("Allow larger files")
    assert list(out.iterdir()) == []
    folder = run(4000, tmp_path / "in", "-o", out)
    assert folder.returncode == 1
    (warned,) = folder.stderr.splitlines()
    assert warned.startswith(f"warning: {tmp_path / 'in/large.png'}: ")
    assert str(out / "large.png") in warned
    assert [path.name for path in out.iterdir()] == ["small.png"]
