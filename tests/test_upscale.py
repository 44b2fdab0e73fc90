"""Upscaling images and files with an exported model, without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageCms

import edgesr
from edgesr import imagefile
from edgesr.deploy.export import export_onnx
from edgesr.errors import DataError, EdgesrError, ModelError, VerifyError
from edgesr.models import zoo
from edgesr.recipe import Edge, Srgan
from edgesr.upscale import Upscaler, upscale_file, upscale_folder

Pixels = NDArray[np.uint8]


def exported(spec: Srgan | Edge, folder: Path) -> Path:
    torch.manual_seed(0)
    module = zoo.build(spec).eval()
    facts = {"edgesr.scale": "4", "edgesr.halo": str(module.halo)}
    export_onnx(module, folder / "model.onnx", opset=17, metadata=facts)
    return folder


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(Edge(channels=4, depth=1), tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def upscaler(bundle: Path) -> Upscaler:
    return edgesr.Upscaler(bundle, threads=1, tile=16)


def noise(*shape: int) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize(
    "spec", [Edge(channels=4, depth=2), Srgan(blocks=1, channels=4)], ids=["edge", "srgan"]
)
def test_tiles_make_the_same_bytes_as_the_whole(spec: Srgan | Edge, tmp_path: Path) -> None:
    folder = exported(spec, tmp_path)
    lr = noise(37, 50, 3)
    tiled = Upscaler(folder, threads=1, tile=11)(lr)
    assert np.array_equal(tiled, Upscaler(folder, threads=1, tile=999)(lr))


def test_an_import_and_a_call_leave_torch_out(bundle: Path) -> None:
    code = (
        "import sys, numpy, edgesr;"
        f"edgesr.Upscaler({str(bundle)!r})(numpy.zeros((5, 5, 3), 'uint8'));"
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
    "image", [np.zeros((4, 4, 3), np.float32), np.zeros((4, 4, 2), np.uint8)], ids=str
)
def test_an_array_of_another_kind_is_refused(upscaler: Upscaler, image: Pixels) -> None:
    with pytest.raises(DataError, match=r"expected uint8 \(H, W\)"):
        upscaler(image)


def test_a_model_without_a_contract_is_refused(bundle: Path, tmp_path: Path) -> None:
    model = onnx.load(bundle / "model.onnx")
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "bare.onnx")
    with pytest.raises(ModelError, match="no edgesr model"):
        Upscaler(tmp_path / "bare.onnx")


def test_a_missing_or_broken_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.onnx does not exist"):
        Upscaler(tmp_path / "none.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    with pytest.raises(ModelError, match="cannot open"):
        Upscaler(tmp_path / "broken.onnx")


def test_cuda_asked_for_and_not_there_is_an_error(bundle: Path) -> None:
    from edgesr.deploy.session import cuda_device_present

    if cuda_device_present():
        pytest.skip("this machine has CUDA")
    with pytest.raises(VerifyError, match="CUDAExecutionProvider was asked for"):
        Upscaler(bundle, provider="cuda")
    with pytest.raises(ModelError, match="expected cpu or cuda"):
        Upscaler(bundle, provider="npu")


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


def test_sixteen_bits_are_scaled_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = np.full((6, 6), 32768, np.uint16)
    Image.fromarray(values).save(tmp_path / "deep.png")
    grey = imagefile.to_eight_bit(imagefile.read(tmp_path / "deep.png"))
    assert np.asarray(grey).tolist() == [[128] * 6] * 6
    assert "reduced to 8 bits" in capsys.readouterr().err


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
        ("moving.gif", "animated"),
        ("text.png", "no image"),
        ("cut.png", "no image"),
        ("none.png", "does not exist"),
    ):
        with pytest.raises(DataError, match=reason):
            imagefile.read(tmp_path / name)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(DataError, match="is refused"):
        imagefile.read(whole)


def test_a_source_is_never_overwritten(upscaler: Upscaler, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(noise(4, 4, 3)).save(path)
    with pytest.raises(DataError, match="would overwrite"):
        upscale_file(upscaler, path, path)
    with pytest.raises(DataError, match="expected one of"):
        upscale_file(upscaler, path, tmp_path / "b.bmp")


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
    assert [path.name for path in summary.failed] == ["bad.png"]
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
    assert "another image of that name" in next(iter(summary.failed.values()))


def test_an_empty_folder_or_one_inside_its_source_is_an_error(
    upscaler: Upscaler, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="no image in"):
        upscale_folder(upscaler, tmp_path, tmp_path.parent / "elsewhere")
    with pytest.raises(EdgesrError, match="lies inside"):
        upscale_folder(upscaler, tmp_path, tmp_path / "out")
