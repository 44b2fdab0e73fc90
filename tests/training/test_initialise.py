"""A student that starts from its teacher's layers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from edgesr.data.patches import PatchCache
from edgesr.errors import ModelError
from edgesr.models import zoo
from edgesr.models.edge import luma
from edgesr.models.srgan import Generator
from edgesr.recipe import Edge, Srgan
from edgesr.training.initialise import find_start, from_teacher, initialise
from edgesr.workspace import Workspace


@pytest.fixture
def cache() -> PatchCache:
    """One photograph of 32 x 32 pixels, LR 8 x 8, of noise."""
    pixels = torch.randint(256, (17 * 64, 3), generator=torch.Generator().manual_seed(0))
    data = pixels.to(torch.uint8)
    return PatchCache(
        "", 4, data, [Path("a.png")], torch.tensor([[8, 8]]), torch.tensor([[0, 1024]])
    )


def teacher_of(spec: Srgan | Edge, folder: Path) -> zoo.SRModel:
    torch.manual_seed(1)
    module = zoo.build(spec)
    for _ in range(2):  # give batch normalisation statistics of its own
        module.train()(torch.rand(4, 3, 12, 12))
    zoo.save(module, folder / "t.safetensors", licence="MIT")
    return zoo.load(folder / "t.safetensors")


def test_evenly_spaced_blocks_are_taken(tmp_path: Path) -> None:
    teacher = teacher_of(Srgan(blocks=8, channels=4), tmp_path)
    student = Generator(Srgan(blocks=2, channels=4))
    from_teacher(student, teacher)
    assert isinstance(teacher.module, Generator)
    for mine, theirs in ((0, 0), (1, 4)):
        ours = student.body[mine].conv1.weight
        assert torch.equal(ours, teacher.module.body[theirs].conv1.weight)


def test_a_student_of_the_same_depth_is_the_same_function(tmp_path: Path) -> None:
    teacher = teacher_of(Srgan(blocks=2, channels=4, bn_eps=1e-3), tmp_path)
    student = Generator(Srgan(blocks=2, channels=4)).eval()
    from_teacher(student, teacher)
    lr = torch.rand(1, 3, 9, 9)
    assert torch.allclose(student(lr), teacher.module(lr), atol=1e-6)


def test_a_linear_student_of_a_tanh_teacher_agrees_to_first_order(tmp_path: Path) -> None:
    teacher = teacher_of(Srgan(blocks=1, channels=4, output="tanh"), tmp_path)
    student = Generator(Srgan(blocks=1, channels=4)).eval()
    from_teacher(student, teacher)
    lr = torch.rand(1, 3, 9, 9)
    before_tanh = torch.atanh(2 * teacher.module(lr) - 1)
    assert torch.allclose(student(lr), (before_tanh + 1) / 2, atol=1e-5)


def test_slopes_per_channel_become_their_mean(tmp_path: Path) -> None:
    teacher = teacher_of(Srgan(blocks=1, channels=4, prelu="channel"), tmp_path)
    student = Generator(Srgan(blocks=1, channels=4))
    assert isinstance(teacher.module, Generator)
    teacher.module.head.act.weight.data = torch.tensor([0.1, 0.2, 0.3, 0.4])
    from_teacher(student, teacher)
    assert student.head.act.weight.item() == pytest.approx(0.25)


def test_an_edge_student_cannot_take_blocks(tmp_path: Path) -> None:
    teacher = teacher_of(Srgan(blocks=1, channels=4), tmp_path)
    with pytest.raises(ModelError, match="not edge 4x1"):
        from_teacher(zoo.build(Edge(channels=4, depth=1)), teacher)


def test_another_width_is_refused(tmp_path: Path) -> None:
    teacher = teacher_of(Srgan(blocks=1, channels=4), tmp_path)
    with pytest.raises(ModelError, match="teacher has 4 channels, the student 8"):
        from_teacher(Generator(Srgan(blocks=1, channels=8)), teacher)


def test_a_run_of_the_same_table_can_be_continued(tmp_path: Path, cache: PatchCache) -> None:
    spec = Edge(channels=4, depth=1)
    source = teacher_of(spec, tmp_path)
    student = zoo.build(spec)
    initialise(student, find_start(student.spec, str(source.path), None, Workspace()), cache)
    lr = torch.rand(1, 3, 5, 5)
    assert torch.equal(student.eval()(lr), source.module(lr))
    with pytest.raises(ModelError, match="the recipe asks for"):
        find_start(Edge(channels=5, depth=1), str(source.path), None, Workspace())


def test_a_student_of_luma_begins_as_what_one_of_rgb_makes_of_grey(
    tmp_path: Path, cache: PatchCache
) -> None:
    source = teacher_of(Edge(channels=4, depth=1, branches=["expand", "point"]), tmp_path)
    student = zoo.build(Edge(channels=4, depth=1, colours=1))
    start = find_start(student.spec, str(source.path), None, Workspace())
    assert start.way == "luma"
    initialise(student, start, cache)
    grey = torch.rand(1, 1, 5, 5)
    wanted = luma(source.module(grey.expand(1, 3, 5, 5)))
    assert torch.allclose(student.eval()(grey), wanted, atol=1e-5)
    with pytest.raises(ModelError, match="the recipe asks for"):
        find_start(Edge(channels=4, depth=2, colours=1), str(source.path), None, Workspace())


def test_a_student_of_luma_begins_from_one_of_another_depth_or_scale(
    tmp_path: Path, cache: PatchCache
) -> None:
    source = teacher_of(Edge(channels=4, depth=3, colours=1), tmp_path)
    for change in ({"depth": 2}, {"scale": 2}):
        spec = Edge(channels=4, colours=1, **{"depth": 3} | change)
        student, shrunk = zoo.build(spec), replace(cache, scale=spec.scale)
        initialise(student, find_start(spec, str(source.path), None, Workspace()), shrunk)
        assert torch.isfinite(student(torch.rand(1, 3, 5, 5))).all()


def test_a_generator_grown_from_a_smaller_one_begins_as_its_function(
    tmp_path: Path, cache: PatchCache
) -> None:
    teacher_of(Srgan(blocks=2, channels=4), tmp_path)
    smaller = zoo.load(tmp_path / "t.safetensors").module
    grown = Generator(Srgan(blocks=5, channels=4))
    initialise(
        grown, find_start(grown.spec, str(tmp_path / "t.safetensors"), None, Workspace()), cache
    )
    lr = torch.rand(1, 3, 9, 9)
    assert torch.equal(grown.eval()(lr), smaller(lr))


def test_every_block_of_a_grown_generator_learns(tmp_path: Path, cache: PatchCache) -> None:
    teacher_of(Srgan(blocks=1, channels=4), tmp_path)
    grown = Generator(Srgan(blocks=3, channels=4))
    initialise(
        grown, find_start(grown.spec, str(tmp_path / "t.safetensors"), None, Workspace()), cache
    )
    grown.train()(torch.rand(2, 3, 9, 9)).square().mean().backward()
    for block in grown.body:
        gradient = block.get_parameter("bn2.weight").grad
        assert gradient is not None
        assert gradient.abs().sum() > 0


def test_a_generator_of_another_width_cannot_be_grown(tmp_path: Path) -> None:
    teacher_of(Srgan(blocks=1, channels=8), tmp_path)
    with pytest.raises(ModelError, match="fewer blocks"):
        find_start(Srgan(blocks=3, channels=4), str(tmp_path / "t.safetensors"), None, Workspace())


@pytest.mark.parametrize("depth", [1, 4])
def test_an_edge_student_begins_from_one_of_another_depth(
    depth: int, tmp_path: Path, cache: PatchCache
) -> None:
    source = teacher_of(Edge(channels=4, depth=2), tmp_path)
    student = zoo.build(Edge(channels=4, depth=depth, branches=["point"]))
    initialise(student, find_start(student.spec, str(source.path), None, Workspace()), cache)
    (lr,) = cache.lr_photographs()
    assert torch.allclose(student(lr), source.module(lr), atol=0.05)
