"""Upscaling images and files with an exported model, without torch."""

from __future__ import annotations

import _thread
import io
import re
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image, ImageCms

import edgesr
from edgesr.deploy import bytes_io
from edgesr.errors import DataError, EdgesrError, ModelError, VerifyError
from edgesr.inference import decode, memory
from edgesr.inference.planning import parse_tile
from edgesr.inference.tiling import to_bytes
from edgesr.inference.upscale_files import upscale_file
from edgesr.inference.upscale_folder import upscale_folder
from edgesr.inference.upscaler import Upscaler
from edgesr.recipe import Edge, Export, Srgan

Pixels = NDArray[np.uint8]
EXPORTS = Path(__file__).parents[2] / "exports"
FACTS = {"scale": "4", "halo": "1", "min_size": "1", "layout": "NCHW", "range": "0..1"}


def save_model(path: Path, facts: dict[str, str] = FACTS) -> None:
    """A 3x3 convolution with zero padding and a fourfold DepthToSpace, without torch."""
    weights = np.random.default_rng(1).normal(0, 0.2, (48, 3, 3, 3)).astype(np.float32)
    weights[:, :, 1, 1] += 0.3
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["lr", "w"], ["x"], pads=[1, 1, 1, 1]),
            helper.make_node("DepthToSpace", ["x"], ["sr"], blocksize=4, mode="CRD"),
        ],
        "g",
        [helper.make_tensor_value_info("lr", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("sr", TensorProto.FLOAT, ["n", 3, "4*h", "4*w"])],
        [numpy_helper.from_array(weights, "w")],
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=10)
    helper.set_model_props(model, {f"edgesr.{key}": value for key, value in facts.items()})
    onnx.save(model, path)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    save_model(folder / "model.onnx")
    return folder


@pytest.fixture(scope="module")
def upscaler(bundle: Path) -> Upscaler:
    return edgesr.Upscaler(bundle, threads=1, tile=16)


def noise(*shape: int) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("shape", [(37, 50, 3), (37, 50, 4), (37, 50)])
def test_tiles_make_the_same_bytes_as_the_whole(bundle: Path, shape: tuple[int, ...]) -> None:
    lr = noise(*shape)
    whole = Upscaler(bundle, threads=1, tile=999)(lr)
    assert np.array_equal(Upscaler(bundle, threads=1, tile=11)(lr), whole)


@pytest.mark.parametrize(
    "spec", [Edge(channels=4, depth=1), Srgan(blocks=1, channels=4)], ids=["edge", "srgan"]
)
def test_tiles_of_an_exported_network_make_the_same_bytes_as_the_whole(
    spec: Srgan | Edge, tmp_path: Path
) -> None:
    import torch

    from edgesr.deploy.export import export_onnx
    from edgesr.models import zoo

    torch.manual_seed(0)
    module = zoo.build(spec).eval()
    facts = {f"edgesr.{key}": value for key, value in FACTS.items()}
    facts["edgesr.halo"] = str(module.halo)
    export_onnx(module, tmp_path / "model.onnx", Export(opset=17), metadata=facts)
    lr = noise(45, 71, 3)
    whole = Upscaler(tmp_path, threads=1, tile=999)(lr)
    assert np.array_equal(Upscaler(tmp_path, threads=1, tile=11)(lr), whole)


def test_the_result_is_what_the_model_computes(bundle: Path, upscaler: Upscaler) -> None:
    import onnxruntime

    lr = noise(9, 7, 3)
    session = onnxruntime.InferenceSession(
        str(bundle / "model.onnx"), providers=["CPUExecutionProvider"]
    )
    values = lr.transpose(2, 0, 1)[None].astype(np.float32) / np.float32(255)
    expected = to_bytes(session.run(None, {"lr": values})[0][0]).transpose(1, 2, 0)
    assert np.array_equal(upscaler(lr), expected)
    assert np.array_equal(upscaler(np.asfortranarray(lr)), expected)


def test_grey_is_the_luma_of_the_enlarged_picture(upscaler: Upscaler) -> None:
    grey = noise(9, 7)
    colour = upscaler(np.repeat(grey[..., None], 3, axis=2))
    luma = np.asarray(Image.fromarray(colour).convert("L")).astype(int)
    assert np.abs(upscaler(grey) - luma).max() <= 1


def test_an_import_and_a_call_leave_torch_out(bundle: Path) -> None:
    code = (
        "import sys, numpy, edgesr; edgesr.Upscaler;"
        f"edgesr.Upscaler({str(bundle)!r}, threads=1)(numpy.zeros((5, 5, 3), 'uint8'));"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("shape", [(7, 9, 3), (7, 9, 4), (7, 9), (1, 1, 3)])
def test_an_array_gives_an_array_of_the_same_kind(
    upscaler: Upscaler, shape: tuple[int, ...]
) -> None:
    result = upscaler(noise(*shape))
    assert result.dtype == np.uint8
    assert result.shape == (4 * shape[0], 4 * shape[1], *shape[2:])


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_a_picture_gives_a_picture_of_the_same_mode(upscaler: Upscaler, mode: str) -> None:
    result = upscaler(Image.fromarray(noise(6, 5, 3)).convert(mode))
    assert (result.mode, result.size) == (mode, (20, 24))


def test_alpha_is_enlarged_beside_the_colours(upscaler: Upscaler) -> None:
    rgba = noise(8, 8, 4)
    rgba[..., 3] = 200
    result = upscaler(rgba)
    assert (result[..., 3] == 200).all()
    assert np.array_equal(result[..., :3], upscaler(np.ascontiguousarray(rgba[..., :3])))


def test_a_picture_is_turned_as_its_exif_says(upscaler: Upscaler) -> None:
    image = Image.fromarray(noise(4, 8, 3))
    image.getexif()[0x0112] = 6
    assert upscaler(image).size == (16, 32)


@pytest.mark.parametrize(
    "image",
    [np.zeros((4, 4, 3), np.float32), np.zeros((4, 4, 2), np.uint8), np.zeros(4, np.uint8), "x"],
    ids=["float", "channels", "axes", "text"],
)
def test_what_is_no_8_bit_image_is_refused(upscaler: Upscaler, image: Pixels) -> None:
    with pytest.raises(DataError, match=r"expected uint8 \(H, W\)"):
        upscaler(image)


def test_an_image_smaller_than_the_model_takes_is_refused(tmp_path: Path) -> None:
    save_model(tmp_path / "model.onnx", FACTS | {"min_size": "8"})
    upscaler = Upscaler(tmp_path, threads=1, tile=2)
    assert upscaler(noise(8, 30, 3)).shape == (32, 120, 3)
    with pytest.raises(DataError, match="20 x 7: expected at least 8"):
        upscaler(noise(7, 20, 3))


def test_an_empty_image_is_refused(upscaler: Upscaler) -> None:
    with pytest.raises(DataError, match="5 x 0: expected at least 1"):
        upscaler(np.zeros((0, 5, 3), np.uint8))


def test_a_model_without_a_contract_is_refused(tmp_path: Path) -> None:
    save_model(tmp_path / "bare.onnx", {})
    with pytest.raises(ModelError, match="not an edgesr model"):
        Upscaler(tmp_path / "bare.onnx")
    save_model(tmp_path / "range.onnx", FACTS | {"range": "0..255"})
    with pytest.raises(ModelError, match=r"takes NCHW 0\.\.255, expected NCHW 0\.\.1 or NHWC"):
        Upscaler(tmp_path / "range.onnx")


def test_settings_that_make_no_sense_are_refused(bundle: Path) -> None:
    with pytest.raises(DataError, match="tile = 0"):
        Upscaler(bundle, tile=0)
    with pytest.raises(DataError, match="threads = 0"):
        Upscaler(bundle, threads=0)
    with pytest.raises(VerifyError, match="expected cpu or cuda"):
        Upscaler(bundle, provider="npu")


@pytest.fixture
def fails_on_white(bundle: Path, tmp_path: Path) -> Path:
    """A model that ONNX Runtime cannot run on a window with a white pixel: it looks up the largest
    value, rounded down, in a table of a single entry."""
    model = onnx.load(bundle / "model.onnx")
    convolution, shuffle = model.graph.node
    shuffle.input[0] = "y"
    lookup = [
        helper.make_node("ReduceMax", ["lr"], ["largest"], keepdims=0),
        helper.make_node("Cast", ["largest"], ["index"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "index"], ["nothing"]),
        helper.make_node("Add", ["x", "nothing"], ["y"]),
    ]
    del model.graph.node[:]
    model.graph.node.extend([convolution, *lookup, shuffle])
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(1, np.float32), "table"))
    (tmp_path / "models").mkdir()
    onnx.save(model, tmp_path / "models/model.onnx")
    return tmp_path / "models"


def test_a_model_that_fails_while_it_runs_is_an_error_with_a_remedy(fails_on_white: Path) -> None:
    upscaler, grey = Upscaler(fails_on_white, threads=1), np.full((5, 6, 3), 128, np.uint8)
    assert upscaler(grey).shape == (20, 24, 3)
    grey[2, 3] = 255
    with pytest.raises(ModelError, match=r"window of 6 x 5 pixels: .*out of data bounds") as caught:
        upscaler(grey)
    assert "--memory 256MB" in caught.value.remedy


def test_a_missing_or_broken_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.onnx does not exist"):
        Upscaler(tmp_path / "none.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    with pytest.raises(ModelError, match="cannot open"):
        Upscaler(tmp_path / "broken.onnx")


def test_cuda_asked_for_and_not_there_is_an_error(bundle: Path) -> None:
    from edgesr.inference.session import cuda_device_present

    if cuda_device_present():
        pytest.skip("this machine has CUDA")
    with pytest.raises(VerifyError, match="CUDAExecutionProvider was asked for"):
        Upscaler(bundle, provider="cuda")


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_a_file_keeps_its_icc_profile(upscaler: Upscaler, tmp_path: Path, suffix: str) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    source, target = tmp_path / f"small.{suffix}", tmp_path / f"big.{suffix}"
    Image.fromarray(noise(9, 7, 3)).save(source, icc_profile=profile)
    upscale_file(upscaler, source, target)
    with Image.open(target) as result:
        assert result.size == (28, 36)
        assert result.info["icc_profile"] == profile


def test_transparency_is_kept_in_png_and_laid_on_white_in_jpeg(
    upscaler: Upscaler, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rgba = np.zeros((8, 8, 4), np.uint8)
    Image.fromarray(rgba).save(tmp_path / "clear.png")
    upscale_file(upscaler, tmp_path / "clear.png", tmp_path / "big.png")
    with Image.open(tmp_path / "big.png") as result:
        assert result.mode == "RGBA"
    upscale_file(upscaler, tmp_path / "clear.png", tmp_path / "big.jpg")
    with Image.open(tmp_path / "big.jpg") as result:
        assert np.asarray(result).min() > 250
    assert "laid on white" in capsys.readouterr().err


def profile(space: bytes) -> bytes:
    """The head of an ICC profile for a colour space; Pillow carries the bytes as they are."""
    return b"\0" * 16 + space + b"\0" * 108


def test_a_profile_that_no_longer_fits_is_left_out_and_that_is_said(
    upscaler: Upscaler, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cmyk = Image.fromarray(noise(6, 6, 3)).convert("CMYK")
    cmyk.save(tmp_path / "print.jpg", icc_profile=profile(b"CMYK"))
    upscale_file(upscaler, tmp_path / "print.jpg", tmp_path / "print.png")
    grey = Image.fromarray(noise(6, 6))
    grey.save(tmp_path / "grey.png", icc_profile=profile(b"GRAY"))
    upscale_file(upscaler, tmp_path / "grey.png", tmp_path / "grey.webp")  # WebP has no grey
    upscale_file(upscaler, tmp_path / "grey.png", tmp_path / "grey.jpg")
    for name, kept in (("print.png", False), ("grey.webp", False), ("grey.jpg", True)):
        with Image.open(tmp_path / name) as result:
            assert ("icc_profile" in result.info) == kept, name
    said = capsys.readouterr().err
    assert "print.jpg: CMYK is converted to RGB" in said
    assert "it is of CMYK colours" in said
    assert "it is of GRAY colours" in said


def test_a_pictures_own_profile_stays_with_the_result(upscaler: Upscaler) -> None:
    image = Image.fromarray(noise(4, 4, 3))
    image.info["icc_profile"] = profile(b"RGB ")
    assert upscaler(image).info["icc_profile"] == profile(b"RGB ")


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_transparent_colour_becomes_alpha(upscaler: Upscaler, tmp_path: Path, mode: str) -> None:
    image = Image.new(mode, (4, 4))
    image.save(tmp_path / "key.png", transparency=0 if mode == "L" else (0, 0, 0))
    upscale_file(upscaler, tmp_path / "key.png", tmp_path / "big.png")
    with Image.open(tmp_path / "big.png") as result:
        assert result.mode == "RGBA"
        assert result.getchannel("A").getextrema() == (0, 0)


def test_pixels_of_unknown_range_are_refused(upscaler: Upscaler, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="floating-point"):
        upscaler(Image.new("F", (4, 4)))
    Image.fromarray(np.full((4, 4), 70000, np.int32)).save(tmp_path / "wide.tif")
    with pytest.raises(DataError, match=r"expected 0\.\.65535"):
        decode.read(tmp_path / "wide.tif")


def test_pillows_warnings_about_a_file_name_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = io.BytesIO()
    Image.fromarray(noise(4, 4, 3)).save(data, "TIFF", tiffinfo={305: "x" * 40})
    damaged = data.getvalue().replace(
        struct.pack("<HHI", 305, 2, 41), struct.pack("<HHI", 305, 2, 9999)
    )
    (tmp_path / "odd.tif").write_bytes(damaged)
    assert decode.read(tmp_path / "odd.tif").pixels.shape == (4, 4, 3)
    assert "odd.tif: " in capsys.readouterr().err


def test_files_that_are_no_plain_image_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = [Image.fromarray(noise(4, 4, 3)) for _ in range(2)]
    frames[1].putpixel((0, 0), (1, 2, 3))
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    (tmp_path / "text.png").write_text("no picture")
    whole = tmp_path / "whole.png"
    Image.fromarray(noise(64, 64, 3)).save(whole)
    (tmp_path / "cut.png").write_bytes(whole.read_bytes()[:2000])
    for name, reason in (
        ("moving.gif", "2 frames"),
        ("text.png", "cannot be read"),
        ("cut.png", "cannot be read"),
        ("none.png", "does not exist"),
    ):
        with pytest.raises(DataError, match=reason):
            decode.read(tmp_path / name)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(DataError, match="refused"):
        decode.read(whole)


def test_a_source_is_never_overwritten(upscaler: Upscaler, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(noise(4, 4, 3)).save(path)
    with pytest.raises(DataError, match="would overwrite"):
        upscale_file(upscaler, path, path)
    (tmp_path / "link.png").symlink_to(path)
    with pytest.raises(DataError, match="would overwrite"):
        upscale_file(upscaler, path, tmp_path / "link.png")


def test_a_target_that_cannot_be_written_is_refused(upscaler: Upscaler, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(noise(1, 4096, 3)).save(path)
    with pytest.raises(DataError, match="expected one of"):
        upscale_file(upscaler, path, tmp_path / "b.bmp")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(DataError, match="is a folder"):
        upscale_file(upscaler, path, tmp_path / "folder.png")
    with pytest.raises(DataError, match="16384 x 4 pixels, WEBP holds at most 16383"):
        upscale_file(upscaler, path, tmp_path / "b.webp")
    with pytest.raises(DataError, match="quality = 101"):
        upscale_file(upscaler, path, tmp_path / "b.jpg", quality=101)
    with pytest.raises(OSError, match=r"exists|Not a directory"):
        upscale_file(upscaler, path, path / "b.png")


def test_a_folder_keeps_its_tree_and_one_bad_file_does_not_stop_it(
    upscaler: Upscaler, tmp_path: Path
) -> None:
    source = tmp_path / "in"
    (source / "sub").mkdir(parents=True)
    picture = Image.fromarray(noise(5, 5, 3))
    for name in ("a.png", "sub/b.jpg", "c.bmp"):
        picture.save(source / name)
    (source / "bad.png").write_bytes(b"no picture")
    summary = upscale_folder(upscaler, source, tmp_path / "out")
    assert summary.done == 3
    assert summary.failed.keys() == {source / "bad.png"}
    assert summary.failed[source / "bad.png"].startswith("cannot be read")
    written = sorted(
        str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*") if p.is_file()
    )
    assert written == ["a.png", "c.png", "sub/b.jpg"]


def test_two_images_of_one_name_do_not_overwrite_each_other(
    upscaler: Upscaler, tmp_path: Path
) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for name in ("a.bmp", "a.png"):
        Image.fromarray(noise(5, 5, 3)).save(source / name)
    summary = upscale_folder(upscaler, source, tmp_path / "out")
    assert summary.done == 1
    assert "belongs to another image" in summary.failed[source / "a.png"]


def test_a_result_never_falls_on_an_image_of_the_source(upscaler: Upscaler, tmp_path: Path) -> None:
    source = tmp_path / "in"
    (source / "in").mkdir(parents=True)
    for name in ("a.png", "in/a.png"):
        Image.fromarray(noise(5, 5, 3)).save(source / name)
    summary = upscale_folder(upscaler, source, tmp_path)
    assert summary.failed.keys() == {source / "in/a.png"}
    with Image.open(source / "a.png") as untouched:
        assert untouched.size == (5, 5)


def test_an_empty_folder_or_one_inside_its_source_is_an_error(
    upscaler: Upscaler, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="no image in"):
        upscale_folder(upscaler, tmp_path, tmp_path.parent / "elsewhere")
    with pytest.raises(EdgesrError, match="lies inside"):
        upscale_folder(upscaler, tmp_path, tmp_path / "out")


def least_memory(bundle: Path, image: Pixels) -> str:
    """The budget that the error for a far too small one asks for, and a little more."""
    with pytest.raises(DataError, match="cannot be enlarged in 1MB") as caught:
        Upscaler(bundle, threads=1, memory="1MB")(image)
    found = re.search(r"--memory (\d+)MB", caught.value.remedy)
    assert found is not None
    return f"{int(found[1]) + 16}MB"


@pytest.mark.parametrize("shape", [(701, 403, 3), (701, 403, 4), (701, 403)])
def test_windows_that_fit_a_budget_do_not_change_the_result(
    bundle: Path, shape: tuple[int, ...]
) -> None:
    lr = noise(*shape)
    upscaler = Upscaler(bundle, threads=1, memory=least_memory(bundle, lr))
    windows = upscaler.windows(lr)
    assert windows.count > 1
    bands = list(upscaler.bands(lr, windows))
    assert len(bands) > 1
    whole = Upscaler(bundle, threads=1, tile=999)(lr)
    assert np.array_equal(np.concatenate(bands), whole)
    assert np.array_equal(upscaler(lr), whole)


def test_a_small_image_is_one_window_and_needs_no_measuring(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "growth", lambda _: pytest.fail("measured"))
    upscaler = Upscaler(bundle, threads=1)
    assert upscaler.windows(noise(128, 100, 3)).count == 1
    assert upscaler(noise(5, 5, 3)).shape == (20, 20, 3)


@pytest.mark.parametrize("text", ["0", "-3", "2.5", "big", ""])
def test_a_tile_that_is_no_number_is_refused(bundle: Path, text: str) -> None:
    with pytest.raises(DataError, match="expected auto, or at least 1"):
        Upscaler(bundle, tile=parse_tile(text))


def test_a_model_of_bytes_gives_the_same_pixels(bundle: Path, tmp_path: Path) -> None:
    model = bytes_io.to_bytes_io(onnx.load(bundle / "model.onnx"))
    facts = FACTS | {"layout": "NHWC", "range": "0..255"}
    helper.set_model_props(model, {f"edgesr.{key}": value for key, value in facts.items()})
    onnx.save(model, tmp_path / "model.uint8-io.onnx")
    floats, levels = (
        Upscaler(bundle, threads=1, tile=11),
        Upscaler(tmp_path, variant="uint8-io", threads=1, tile=11),
    )
    for shape in ((23, 31, 3), (9, 8, 4), (12, 30)):
        assert np.array_equal(levels(noise(*shape)), floats(noise(*shape)))


def test_a_variant_that_the_bundle_does_not_have_is_named(bundle: Path) -> None:
    with pytest.raises(ModelError, match=r"model\.int8\.onnx does not exist"):
        Upscaler(bundle, variant="int8")


@pytest.mark.parametrize(("mode", "suffix"), [("L", "png"), ("RGBA", "png"), ("L", "jpg")])
def test_a_file_holds_what_a_call_gives(
    bundle: Path, tmp_path: Path, mode: str, suffix: str
) -> None:
    picture = Image.fromarray(noise(150, 41, 4)).convert(mode)
    picture.save(tmp_path / "small.png")
    upscaler = Upscaler(bundle, threads=1, tile=20)
    upscale_file(upscaler, tmp_path / "small.png", tmp_path / f"big.{suffix}", quality=100)
    expected = np.asarray(upscaler(picture)).astype(int)
    with Image.open(tmp_path / f"big.{suffix}") as result:
        assert result.mode == mode
        difference = np.abs(np.asarray(result).astype(int) - expected)
    assert difference.max() <= (0 if suffix == "png" else 3)


def test_what_was_chosen_is_said(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "small.png"
    lr = noise(701, 403, 3)
    Image.fromarray(lr).save(path)
    budget = least_memory(bundle, lr)
    upscale_file(Upscaler(bundle, threads=1, memory=budget), path, tmp_path / "big.png")
    said = capsys.readouterr().out
    assert f"{path}: 403 x 701 pixels in " in said
    assert f"within {budget}, 1." in said


def test_a_format_that_is_held_whole_needs_a_budget_for_it(bundle: Path, tmp_path: Path) -> None:
    lr = noise(701, 403, 3)
    Image.fromarray(lr).save(tmp_path / "small.png")
    upscaler = Upscaler(bundle, threads=1, memory=least_memory(bundle, lr))
    upscale_file(upscaler, tmp_path / "small.png", tmp_path / "big.png")
    with pytest.raises(DataError, match="cannot be enlarged in"):
        upscale_file(upscaler, tmp_path / "small.png", tmp_path / "big.webp")


def test_a_failure_half_way_leaves_no_file(fails_on_white: Path, tmp_path: Path) -> None:
    lr = noise(150, 41, 3) // 2
    lr[140, 30] = 255
    Image.fromarray(lr).save(tmp_path / "small.png")
    upscaler = Upscaler(fails_on_white, threads=1, tile=20)
    with pytest.raises(ModelError, match="out of data bounds"):
        upscale_file(upscaler, tmp_path / "small.png", tmp_path / "big.png")
    assert {path.name for path in tmp_path.iterdir()} == {"small.png", "models"}


def test_an_interrupted_run_leaves_no_file_and_stops_at_the_next_window(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upscaler = Upscaler(bundle, threads=1, tile=20)
    Image.fromarray(noise(2000, 41, 3)).save(tmp_path / "small.png")
    run, calls = onnxruntime.InferenceSession.run, []

    def interrupted(session: onnxruntime.InferenceSession, *arguments: object) -> object:
        calls.append(arguments)
        if len(calls) == 4:
            _thread.interrupt_main()  # as Ctrl-C does, whichever thread is at work
        return run(session, *arguments)

    monkeypatch.setattr(onnxruntime.InferenceSession, "run", interrupted)
    before = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        upscale_file(upscaler, tmp_path / "small.png", tmp_path / "big.png")
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
    assert set(threading.enumerate()) <= before
    assert len(calls) < 20  # of 303
    assert [path.name for path in tmp_path.iterdir()] == ["small.png"]


def test_a_process_that_is_large_already_has_the_default_budget_all_the_same(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An app that has loaded other things must not be refused a small picture."""
    monkeypatch.setattr(memory, "resident", lambda: 8 * 10**9)
    pixels = np.zeros((20, 300, 3), np.uint8)
    assert Upscaler(bundle)(pixels).shape == (80, 1200, 3)
    with pytest.raises(DataError, match="cannot be enlarged in 512MB"):
        Upscaler(bundle, memory="512MB")(pixels)


@pytest.mark.parametrize("kind", ["grey", "colour", "opaque"])
@pytest.mark.parametrize("tile", ["auto", 16])
def test_a_texture_that_tiles_does_so_when_it_is_large(kind: str, tile: Any) -> None:
    """Rolled and enlarged is enlarged and rolled: no edge is seen."""
    channels = {"grey": (), "colour": (3,), "opaque": (4,)}[kind]
    texture = np.random.default_rng(3).integers(0, 256, (20, 24, *channels), dtype=np.uint8)
    if kind == "opaque":
        texture[..., 3] = 255
    rolled = np.roll(texture, (7, 11), (0, 1))
    model = EXPORTS / "edge-xs"
    wrapping = Upscaler(model, threads=1, provider="cpu", tile=tile, wrap=True)
    seams = Upscaler(model, threads=1, provider="cpu", tile=tile)
    back = {up: np.roll(up(rolled), (-28, -44), (0, 1)).astype(int) for up in (wrapping, seams)}
    assert np.abs(back[wrapping] - wrapping(texture)).max() <= 1
    assert np.abs(back[seams] - seams(texture)).max() > 20


def test_a_texture_does_not_wrap_where_the_model_sees_the_whole(tmp_path: Path) -> None:
    save_model(tmp_path / "model.onnx", FACTS | {"tileable": "0"})
    with pytest.raises(DataError, match="sees the whole image"):
        Upscaler(tmp_path, wrap=True)
