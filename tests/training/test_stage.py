"""Whole runs, tiny: what they leave on disk, and that nothing of them gets lost."""

from __future__ import annotations

import json
import re
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch
from PIL import Image
from torch.optim.optimizer import register_optimizer_step_post_hook

from edgesr.data import photos
from edgesr.data.patches import PatchSampler
from edgesr.errors import (
    DataError,
    EdgesrError,
    MachineError,
    ModelError,
    TrainingError,
    WeightsError,
)
from edgesr.folders import locked
from edgesr.models import zoo
from edgesr.places import check_writable
from edgesr.recipe import Edge, Gan, GanLosses, Losses, Optimisation, Recipe, Srgan, Training
from edgesr.recipe import io as recipe_io
from edgesr.training import stage, state
from edgesr.training.loop import Interrupted, learning_rate
from edgesr.training.steps import Step
from edgesr.training.validation import Score
from edgesr.workspace import Workspace, sha256


def recipe(photographs: Path, teacher: Path | None = None, **changes: Any) -> Recipe:
    raw: dict[str, Any] = {
        "name": "tiny",
        "model": {"arch": "srgan", "blocks": 1, "channels": 4},
        "data": {"photos": str(photographs), "validation": 1},
        "training": {
            "steps": 6,
            "batch": 2,
            "patch": 32,
            "log_every": 1,
            "validate_every": 3,
            "checkpoint_every": 2,
            "device": "cpu",
        },
    }
    if teacher is not None:
        raw["teacher"] = {"path": str(teacher)}
        raw["losses"] = {"teacher_l1": 0.5, "feature_affinity": 0.1, "frequency": 0.1}
    return Recipe.model_validate(recipe_io.merge(raw, changes))


def log(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "images_per_s"} for line in lines]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return zoo.load(folder / "model.safetensors").module.state_dict()


ADVERSARIAL = {"steps": 4, "losses": {"vgg": 0.0, "lpips": 0.0}}
NO_AFFINITY = {"losses": {"feature_affinity": 0.0}}


def test_a_distilled_run_leaves_everything_that_the_next_stages_read(
    workspace: Workspace, photographs: Path, teacher: Path
) -> None:
    folder = stage.distill(recipe(photographs, teacher, gan=ADVERSARIAL), workspace)
    assert workspace.find_run() == folder
    facts = json.loads((folder / "run.json").read_text())
    assert facts["command"] == "distill"
    assert facts["steps"] == 10
    assert facts["teacher"]["architecture"] == "SRGAN N=2"
    assert facts["validation"]["psnr_db"] > 0
    assert recipe_io.load(folder / "recipe.toml").gan == Gan.model_validate(ADVERSARIAL)
    assert zoo.load(folder / "model.safetensors").spec == Srgan(blocks=1, channels=4)
    samples = sorted(p.name for p in (folder / "samples").iterdir())
    assert samples == [f"gan-{n:07d}.png" for n in (0, 3, 4)] + [
        f"pixel-{n:07d}.png" for n in (0, 3, 6)
    ]
    trained = [line for line in log(folder) if "loss" in line]
    assert [line["step"] for line in trained] == [1, 2, 3, 4, 5, 6, 1, 2, 3, 4]
    assert {"l1", "teacher_l1", "feature_affinity", "frequency"} <= trained[0].keys()
    assert {"l1", "adversarial", "discriminator"} <= trained[-1].keys()


def test_the_checkpoint_does_not_hold_the_teacher(
    workspace: Workspace, photographs: Path, teacher: Path
) -> None:
    folder = stage.distill(recipe(photographs, teacher), workspace)
    checkpoint = torch.load(folder / "checkpoints/last.pt", weights_only=True)
    assert set(checkpoint) == {
        *("sha256", "recipe", "stage", "step", "seconds", "student", "discriminator"),
        *("ema", "sampler", "means", "best", "rng", "cuda_rng"),
    }


@pytest.mark.parametrize("log_every", [1, 4])
@pytest.mark.parametrize("optimiser", ["adam", "muon"])
@pytest.mark.parametrize(
    ("descents", "place"),
    [(3, "step 3 of the pixel stage"), (6 + 2 * 2, "step 2 of the gan stage")],
    ids=["pixel", "gan"],
)
def test_resumed_equals_uninterrupted_bit_for_bit(
    workspace: Workspace,
    photographs: Path,
    teacher: Path,
    descents: int,
    place: str,
    optimiser: str,
    log_every: int,
) -> None:
    changes = {
        "gan": ADVERSARIAL | {"optimiser": optimiser},
        "training": {"optimiser": optimiser, "log_every": log_every},
    }
    whole = stage.distill(recipe(photographs, teacher, name="a", **changes), workspace)
    parted = recipe(photographs, teacher, name="b", **changes)
    with after(descents, interrupted), pytest.raises(Interrupted, match=place):
        stage.distill(parted, workspace)
    torch.manual_seed(99)  # whatever happened in between must not matter
    folder = stage.distill(parted, workspace, resume=True)
    ours, theirs = weights(folder), weights(whole)
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    assert log(folder) == log(whole)


def test_a_run_that_looks_at_two_frames_is_resumed_as_if_it_had_not_stopped(
    workspace: Workspace, photographs: Path
) -> None:
    """Their movement is drawn in each step."""
    changes = {"losses": {"temporal": 1.0}, "training": {"patch": 48}}
    whole = stage.train(recipe(photographs, name="a", **changes), workspace)
    parted = recipe(photographs, name="b", **changes)
    with after(3, interrupted), pytest.raises(Interrupted):
        stage.train(parted, workspace)
    torch.manual_seed(99)
    folder = stage.train(parted, workspace, resume=True)
    assert log(folder) == log(whole)


def test_a_resumed_run_in_float16_goes_on_with_the_scale_of_its_losses(
    workspace: Workspace, photographs: Path
) -> None:
    changes = {"model": {"blocks": 1, "channels": 4}, "training": {"precision": "fp16-mixed"}}
    whole = stage.train(recipe(photographs, name="a", **changes), workspace)
    parted = recipe(photographs, name="b", **changes)
    with after(3, interrupted), pytest.raises(Interrupted):
        stage.train(parted, workspace)
    folder = stage.train(parted, workspace, resume=True)
    ours, theirs = (torch.load(each / "checkpoints/last.pt") for each in (folder, whole))
    assert ours["student"]["scaler"] == theirs["student"]["scaler"]
    assert ours["student"]["scaler"]["_growth_tracker"] == 6
    assert all(torch.equal(weights(folder)[key], value) for key, value in weights(whole).items())


def test_a_checkpoint_of_several_cards_is_resumed_without_one(
    workspace: Workspace, photographs: Path
) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    given = recipe(photographs)
    with after(3, interrupted), pytest.raises(Interrupted):
        stage.train(given, workspace)
    path = workspace.run("tiny") / "checkpoints/last.pt"
    checkpoint = torch.load(path)
    del checkpoint["sha256"]
    checkpoint["cuda_rng"] = [torch.get_rng_state()] * 4
    torch.save({"sha256": state.digest(checkpoint), **checkpoint}, path)
    assert (stage.train(given, workspace, resume=True) / "model.safetensors").is_file()


def kept(given: Recipe) -> Recipe:
    """With the teacher's pictures made once."""
    assert given.teacher is not None
    return given.model_copy(update={"teacher": given.teacher.model_copy(update={"once": True})})


def test_resumed_on_degraded_photographs_is_uninterrupted_with_a_teacher_run_once(
    workspace: Workspace, photographs: Path, teacher: Path
) -> None:
    changes: dict[str, Any] = {
        "data": {"degradation": {"kind": "real", "variants": 2, "region": 64}},
        "losses": {"feature_affinity": 0.0},
    }
    whole = stage.distill(kept(recipe(photographs, teacher, name="a", **changes)), workspace)
    parted = kept(recipe(photographs, teacher, name="b", **changes))
    with after(3, interrupted), pytest.raises(Interrupted):
        stage.distill(parted, workspace)
    folder = stage.distill(parted, workspace, resume=True)
    ours, theirs = weights(folder), weights(whole)
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_resumed_on_pairs_of_ones_own_is_uninterrupted_with_a_teacher_run_once(
    workspace: Workspace, photographs: Path, teacher: Path, tmp_path: Path
) -> None:
    for path in photographs.iterdir():
        with Image.open(path) as hr:
            size = hr.width // 4, hr.height // 4
            (tmp_path / "lr").mkdir(exist_ok=True)
            hr.convert("RGB").resize(size).save(tmp_path / f"lr/{path.stem}.jpg", quality=60)
    changes: dict[str, Any] = {
        "data": {"degradation": {"kind": "pairs"}, "lr": str(tmp_path / "lr")},
        "losses": {"feature_affinity": 0.0},
    }
    whole = stage.distill(kept(recipe(photographs, teacher, name="a", **changes)), workspace)
    parted = kept(recipe(photographs, teacher, name="b", **changes))
    with after(3, interrupted), pytest.raises(Interrupted):
        stage.distill(parted, workspace)
    folder = stage.distill(parted, workspace, resume=True)
    ours, theirs = weights(folder), weights(whole)
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    assert log(folder) == log(whole)


def test_a_line_is_the_mean_since_the_line_before_and_the_last_step_has_one(
    workspace: Workspace, photographs: Path
) -> None:
    each = log(stage.train(recipe(photographs, name="each"), workspace))
    few = recipe(photographs, name="few", training={"log_every": 4})
    few_lines = [line for line in log(stage.train(few, workspace)) if "loss" in line]
    assert [line["step"] for line in few_lines] == [4, 6]
    losses = [line["loss"] for line in each if "loss" in line]
    expected = [sum(losses[:4]) / 4, sum(losses[4:]) / 2]
    assert [line["loss"] for line in few_lines] == pytest.approx(expected, rel=1e-6)


def test_the_learning_rates_of_both_networks_are_logged(
    workspace: Workspace, photographs: Path
) -> None:
    gan = ADVERSARIAL | {"lr": 1e-4, "discriminator_lr": 3e-4}
    lines = [ln for ln in log(stage.train(recipe(photographs, gan=gan), workspace)) if "lr" in ln]
    assert {line["stage"]: (line["lr"], line.get("discriminator_lr")) for line in lines} == {
        "pixel": (2e-4, None),
        "gan": (1e-4, 3e-4),
    }


def test_tensorboard_gets_the_values_and_the_sample_pictures(
    workspace: Workspace, photographs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writers = ModuleType("torch.utils.tensorboard")
    writers.SummaryWriter = MagicMock()  # type: ignore[attr-defined]
    package = ModuleType("tensorboard")
    package.__spec__ = ModuleSpec("tensorboard", None)
    monkeypatch.setitem(sys.modules, "tensorboard", package)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", writers)
    sets = {"validation_sets": [str(photographs)]}
    given = recipe(photographs, training={"tensorboard": True}, data=sets)
    folder = stage.train(given, workspace)
    writers.SummaryWriter.assert_called_once_with(str(folder / "tensorboard"))
    board = writers.SummaryWriter.return_value
    shown = [call.args for call in board.add_image.call_args_list]
    assert [(name, step) for name, _, step in shown] == [("pixel/sample", n) for n in (0, 3, 6)]
    with Image.open(folder / "samples/pixel-0000006.png") as image:
        assert np.array_equal(shown[-1][1], np.array(image))
    assert {"pixel/loss", "pixel/lr", "pixel/psnr_db", "pixel/photographs/psnr_db"} <= {
        call.args[0] for call in board.add_scalar.call_args_list
    }


def test_a_run_that_ends_below_bicubic_says_so(
    workspace: Workspace, photographs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.train(recipe(photographs), workspace)
    assert "tiny finished below bicubic: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("psnr", "losses", "expected"),
    [
        (27.5, Losses(), ""),
        (
            25.0,
            Losses(),
            "25.00 dB against 27.00 dB on the held-out photographs; give it more steps",
        ),
        (25.0, GanLosses(), "losses trade PSNR for texture"),
    ],
    ids=["above", "pixel", "texture"],
)
def test_the_remark_says_what_a_score_below_bicubic_means(
    psnr: float, losses: Losses, expected: str
) -> None:
    remark = Score(psnr, 27.0).remark(losses)
    assert expected in remark
    assert bool(remark) == bool(expected)


Act = Callable[[list[torch.nn.Parameter]], None]


@contextmanager
def after(descents: int, act: Act) -> Iterator[None]:
    """What happens, `act`, as Adam has changed its parameters for the `descents`-th time: once in a
    step of the pixel stage, in one of the GAN stage the discriminator's and then the student's."""
    done = []

    def count(optimiser: torch.optim.Optimizer, *_: Any) -> None:
        if isinstance(optimiser, torch.optim.Adam):
            done.append(optimiser)
            if len(done) == descents:
                act(optimiser.param_groups[0]["params"])

    hook = register_optimizer_step_post_hook(count)
    try:
        yield
    finally:
        hook.remove()


def interrupted(_: list[torch.nn.Parameter], number: int = signal.SIGINT) -> None:
    """A signal comes twice in a row, as a shell and a launcher both pass it on."""
    signal.raise_signal(number)
    signal.raise_signal(number)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_an_interruption_saves_and_says_how_to_go_on(
    workspace: Workspace, photographs: Path, name: str
) -> None:
    number = getattr(signal, name)
    stop = after(1, partial(interrupted, number=number))
    with stop, pytest.raises(Interrupted, match="--resume") as caught:
        stage.train(recipe(photographs), workspace)
    assert caught.value.exit_code == 128 + number
    assert (workspace.run("tiny") / "checkpoints/last.pt").is_file()


def filled_with(value: str) -> Act:
    """A step that leaves the first weights at `value`."""

    def fill(parameters: list[torch.nn.Parameter]) -> None:
        parameters[0].data.fill_(float(value))

    return fill


def test_a_loss_that_is_not_finite_names_step_batch_and_checkpoint_and_spares_the_weights(
    workspace: Workspace, photographs: Path
) -> None:
    with after(3, filled_with("nan")), pytest.raises(TrainingError) as caught:
        stage.train(recipe(photographs), workspace)
    message = str(caught.value)
    assert "step 3 of the pixel stage: the loss is nan (l1 = nan)" in message
    assert str(photographs) in message
    assert "last good checkpoint is" in message
    saved = torch.load(workspace.run("tiny") / "checkpoints/last.pt", weights_only=True)
    assert saved["step"] == 2
    assert all(torch.isfinite(v).all() for v in saved["student"]["net"].values())


def test_where_steps_are_queued_the_fault_of_an_earlier_one_is_named_with_its_batch(
    workspace: Workspace, photographs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU is waited for only where something is logged, validated or saved."""
    drawn: list[list[str]] = []
    original = PatchSampler.next

    def noted(sampler: PatchSampler) -> tuple[torch.Tensor, ...]:
        batch = original(sampler)
        drawn.append(sampler.files())
        return batch

    monkeypatch.setattr(PatchSampler, "next", noted)
    monkeypatch.setattr(Step, "queues", True)
    seldom = {"log_every": 10, "validate_every": 10, "checkpoint_every": 10, "steps": 6}
    fault = r"step 3 of the pixel stage: the loss is nan \(l1 = nan\); batch: (.*)\. No"
    with after(3, filled_with("nan")), pytest.raises(TrainingError) as caught:
        stage.train(recipe(photographs, training=seldom), workspace)
    found = re.match(fault, str(caught.value).replace("\n", ". "))
    assert found, str(caught.value)
    assert found[1] == ", ".join(sorted(set(drawn[-3])))  # of steps 0 to 5, and the proof's before


def test_weights_that_a_step_made_infinite_are_not_saved(
    workspace: Workspace, photographs: Path
) -> None:
    fault = r"after step 4 .* not finite: student\.head\.conv\.weight"
    # The loss and the gradient of that step were finite.
    with after(4, filled_with("inf")), pytest.raises(TrainingError, match=fault):
        stage.train(recipe(photographs), workspace)
    saved = torch.load(workspace.run("tiny") / "checkpoints/last.pt", weights_only=True)
    assert saved["step"] == 2


def test_an_earlier_run_is_not_overwritten_unless_told_to(
    workspace: Workspace, photographs: Path
) -> None:
    stage.train(recipe(photographs), workspace)
    with pytest.raises(TrainingError, match="holds an earlier run"):
        stage.train(recipe(photographs), workspace)
    stage.train(recipe(photographs), workspace, fresh=True)


@pytest.mark.parametrize("left", ["run.json", "model.safetensors", "notes.txt", "recipe.toml"])
def test_whatever_lies_under_the_name_is_not_begun_over(
    workspace: Workspace, photographs: Path, left: str
) -> None:
    # A blend and a run whose checkpoints were removed have no checkpoint; notes are a person's.
    folder = workspace.run("tiny")
    folder.mkdir(parents=True)
    (folder / left).write_text("{}")
    with pytest.raises(TrainingError, match="holds an earlier run"):
        stage.train(recipe(photographs), workspace)
    assert [path.name for path in folder.iterdir()] == [left]


def test_fresh_deletes_no_file_of_others_and_no_input_of_its_own(
    workspace: Workspace, photographs: Path
) -> None:
    folder = stage.train(recipe(photographs), workspace)
    start = {"init": str(folder / "model.safetensors")}
    with pytest.raises(EdgesrError, match="which this command reads"):
        stage.train(recipe(photographs, training=start), workspace, fresh=True)
    (folder / "notes.txt").write_text("lr 2e-3 was better")
    with pytest.raises(EdgesrError, match=r"did not write: notes\.txt"):
        stage.train(recipe(photographs), workspace, fresh=True)
    assert weights(folder)


def test_a_teacher_is_named_by_its_run_and_the_run_comes_before_the_bundle(
    workspace: Workspace, photographs: Path, teacher: Path
) -> None:
    # What the chain has just trained is what teaches, not the bundle that ships under its name.
    start = {"model": {"blocks": 2}, "training": {"init": str(teacher), "lr": 1e-9}}
    trained = stage.train(recipe(photographs, name="big", **start), workspace)
    shipped = workspace.bundle("big")
    shipped.mkdir(parents=True)
    shutil.copy(teacher, shipped / "weights.safetensors")
    folder = stage.distill(recipe(photographs, Path("big")), workspace)
    facts = json.loads((folder / "run.json").read_text())
    assert facts["teacher"]["sha256"] == sha256(trained / "model.safetensors")


@pytest.mark.parametrize("resume", [False, True])
def test_a_second_training_of_the_name_is_refused_while_one_works(
    workspace: Workspace, photographs: Path, resume: bool
) -> None:
    with (
        locked(workspace.run("tiny"), "edgesr distill tiny"),
        pytest.raises(EdgesrError, match="in use by `edgesr distill tiny`"),
    ):
        stage.train(recipe(photographs), workspace, resume=resume)


def test_a_start_from_weights_that_do_not_fit_leaves_the_old_run_alone(
    photographs: Path, teacher: Path, workspace: Workspace
) -> None:
    folder = stage.train(recipe(photographs), workspace)
    other = recipe(photographs, training={"init": str(teacher)}, model={"channels": 8})
    with pytest.raises(ModelError, match=r"training\.init"):
        stage.train(other, workspace, fresh=True)
    assert weights(folder)


def test_a_fresh_start_that_cannot_begin_leaves_the_old_run_alone(
    workspace: Workspace, photographs: Path, teacher: Path
) -> None:
    folder = stage.distill(recipe(photographs, teacher), workspace)
    teacher.unlink()
    with pytest.raises(ModelError, match="is not a model"):
        stage.distill(recipe(photographs, teacher), workspace, fresh=True)
    assert (folder / "model.safetensors").is_file()


def test_missing_weights_of_the_last_stage_stop_the_first(
    workspace: Workspace, photographs: Path, teacher: Path
) -> None:
    with pytest.raises(WeightsError, match="weights are missing"):
        stage.distill(recipe(photographs, teacher, gan={"steps": 4}), workspace)
    assert not workspace.run("tiny").exists()


def test_tensorboard_is_asked_for_before_anything_is_deleted(
    workspace: Workspace, photographs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(TrainingError, match=r"edgesr\[tensorboard\]"):
        stage.train(recipe(photographs, training={"tensorboard": True}), workspace)


def test_resuming_with_another_recipe_names_what_changed(
    workspace: Workspace, photographs: Path
) -> None:
    stage.train(recipe(photographs), workspace)
    with pytest.raises(TrainingError, match=r"training\.lr changed"):
        stage.train(recipe(photographs, training={"lr": 1e-3}), workspace, resume=True)


def test_a_run_may_be_resumed_to_end_later_and_is_then_that_recipes_run(
    workspace: Workspace, photographs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.train(recipe(photographs), workspace)
    longer = recipe(photographs, training={"steps": 9}, gates={"max_mb": 1.0})
    folder = stage.train(longer, workspace, resume=True)
    assert "resumed with another training.steps" in capsys.readouterr().out
    steps = [line["step"] for line in log(folder) if "loss" in line]
    assert steps == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert recipe_io.load(folder / "recipe.toml") == longer
    assert json.loads((folder / "run.json").read_text())["steps"] == 9


def test_resuming_without_a_checkpoint_says_so(workspace: Workspace, photographs: Path) -> None:
    with pytest.raises(TrainingError, match="no checkpoint"):
        stage.train(recipe(photographs), workspace, resume=True)


def rewrite(path: Path, **changes: Any) -> None:
    """A checkpoint with other content and a sum that agrees."""
    content = torch.load(path, weights_only=True) | changes
    del content["sha256"]
    torch.save(content | {"sha256": state.digest(content)}, path)


def test_a_checkpoint_without_a_sum_is_an_earlier_edgesrs(
    workspace: Workspace, photographs: Path
) -> None:
    path = stage.train(recipe(photographs), workspace) / "checkpoints/last.pt"
    checkpoint = torch.load(path, weights_only=True)
    del checkpoint["sha256"]
    torch.save(checkpoint, path)
    with pytest.raises(TrainingError, match="by an earlier edgesr"):
        stage.train(recipe(photographs), workspace, resume=True)


@pytest.mark.parametrize("damage", ["flipped", "cut", "missing"])
def test_where_the_last_checkpoint_is_damaged_the_one_before_goes_on_to_the_same_end(
    workspace: Workspace, photographs: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    """A flipped byte of the weights resumed in silence; a kill may fall between two renames."""
    folder = stage.train(recipe(photographs), workspace)
    expected, lines = weights(folder), log(folder)
    spoil(folder / "checkpoints/last.pt", damage)
    stage.train(recipe(photographs), workspace, resume=True)
    warning = capsys.readouterr().err
    assert "going on from the one before" in warning
    assert "previous.pt of step 4 of the pixel stage" in warning
    assert all(torch.equal(expected[key], value) for key, value in weights(folder).items())
    assert log(folder) == lines
    steps = {path.name: read_step(path) for path in (folder / "checkpoints").iterdir()}
    assert steps == {"last.pt": 6, "previous.pt": 4}


def read_step(path: Path) -> int:
    step: int = torch.load(path, weights_only=True)["step"]
    return step


def spoil(path: Path, damage: str) -> None:
    data = bytearray(path.read_bytes())
    if damage == "missing":
        path.unlink()
        return
    if damage == "cut":
        path.write_bytes(data[:-1000])
        return
    bias = torch.load(path, weights_only=True)["ema"]["module"]["head.conv.bias"]
    data[data.index(bias.numpy().tobytes()) + 5] ^= 1
    path.write_bytes(data)


def test_no_flipped_byte_of_a_checkpoint_changes_what_is_read_from_it(tmp_path: Path) -> None:
    content = {"step": 3, "lr": 0.1, "net": {"weight": torch.rand(4, 4), "steps": torch.tensor(7)}}
    path = tmp_path / "last.pt"
    torch.save(content | {"sha256": state.digest(content)}, path)
    whole = path.read_bytes()
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 16]) + whole[at + 1 :])
        try:
            read = state._load(path)
        except TrainingError:
            continue
        assert state.digest(read) == state.digest(content), at


def test_where_both_checkpoints_are_damaged_that_is_said(
    workspace: Workspace, photographs: Path
) -> None:
    folder = stage.train(recipe(photographs), workspace)
    for name in ("last", "previous"):
        (folder / f"checkpoints/{name}.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(TrainingError, match=r"last.pt is damaged.*previous.pt is damaged"):
        stage.train(recipe(photographs), workspace, resume=True)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"stage": "nonsense"}, "of the nonsense stage: the recipe has pixel stages only"),
        ({"step": 7}, "step 7 of the pixel stage, which has 6 steps in the recipe"),
        ({"step": -1}, "step -1 of the pixel stage"),
    ],
)
def test_a_checkpoint_that_the_recipe_could_not_have_written_is_refused(
    workspace: Workspace, photographs: Path, changes: dict[str, Any], fault: str
) -> None:
    """A stage that no recipe has would leave every stage out and publish untrained weights."""
    folder = stage.train(recipe(photographs), workspace)
    rewrite(folder / "checkpoints/last.pt", **changes)
    with pytest.raises(TrainingError, match=fault):
        stage.train(recipe(photographs), workspace, resume=True)


def test_resuming_a_finished_run_finishes_it_again(workspace: Workspace, photographs: Path) -> None:
    folder = stage.train(recipe(photographs), workspace)
    before, lines = weights(folder), log(folder)
    stage.train(recipe(photographs), workspace, resume=True)
    assert all(torch.equal(before[key], value) for key, value in weights(folder).items())
    assert log(folder) == lines
    assert json.loads((folder / "run.json").read_text())["validation"] is not None


def test_train_and_distill_send_each_other_their_recipes(
    workspace: Workspace, photographs: Path, teacher: Path
) -> None:
    with pytest.raises(TrainingError, match="Use edgesr distill"):
        stage.train(recipe(photographs, teacher), workspace)
    with pytest.raises(TrainingError, match="names no teacher"):
        stage.distill(recipe(photographs), workspace)


def test_cuda_that_is_not_there_is_an_error(workspace: Workspace, photographs: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(TrainingError, match="no CUDA device works here"):
        stage.train(recipe(photographs, training={"device": "cuda"}), workspace)


def test_bf16_trains_on_the_cpu_too(workspace: Workspace, photographs: Path) -> None:
    folder = stage.train(recipe(photographs, training={"precision": "bf16-mixed"}), workspace)
    assert all(v.dtype in (torch.float32, torch.int64) for v in weights(folder).values())


@pytest.mark.parametrize("arch", ["srgan", "edge"])
def test_bf16_reaches_every_convolution_of_the_student(
    workspace: Workspace, photographs: Path, monkeypatch: pytest.MonkeyPatch, arch: str
) -> None:
    kinds: list[torch.dtype] = []
    real = torch.nn.functional.conv2d
    if arch == "edge":
        spec: Srgan | Edge = Edge(channels=4, depth=1, branches=["expand"])
    else:
        spec = Srgan(blocks=1, channels=4)

    def seen(*args: Any, **kwargs: Any) -> torch.Tensor:
        y = real(*args, **kwargs)
        if y.requires_grad:  # validation runs in float32, without gradient
            kinds.append(y.dtype)
        return y

    monkeypatch.setattr(torch.nn.functional, "conv2d", seen)
    raw = recipe(photographs).model_dump(exclude_none=True) | {"model": spec.model_dump()}
    raw["training"]["precision"] = "bf16-mixed"
    stage.train(Recipe.model_validate(raw), workspace)
    assert set(kinds) == {torch.bfloat16}


def test_a_teacher_asked_once_teaches_what_one_asked_in_every_step_does(
    workspace: Workspace, photographs: Path, teacher: Path
) -> None:
    losses = {"feature_affinity": 0.0, "frequency": 0.0}
    runs = {}
    for once in (False, True):
        raw = recipe(photographs, teacher, losses=losses).model_dump(exclude_none=True)
        raw["name"], raw["teacher"]["once"] = f"once-{once}", once
        runs[once] = log(stage.distill(Recipe.model_validate(raw), workspace))
    first = [next(line for line in lines if "loss" in line) for lines in runs.values()]
    # Whole photographs against crops: the patch's border sees other neighbours.
    assert first[0]["l1"] == pytest.approx(first[1]["l1"], rel=1e-6)
    assert first[0]["teacher_l1"] == pytest.approx(first[1]["teacher_l1"], rel=0.2)


def test_an_edge_student_learns_its_photographs(workspace: Workspace, photographs: Path) -> None:
    spec = Edge(channels=8, depth=1).model_dump()
    training = {"steps": 60, "lr": 5e-3, "validate_every": 60, "schedule": "cosine"}
    raw = recipe(photographs).model_dump(exclude_none=True) | {"model": spec}
    learning = Recipe.model_validate(recipe_io.merge(raw, {"training": training}))
    folder = stage.train(learning, workspace)
    first, *_, last = [line["validation"] for line in log(folder) if "validation" in line]
    assert last["psnr_db"] > first["psnr_db"] + 1


@pytest.mark.parametrize(
    ("optimisation", "step", "expected"),
    [
        (Optimisation(schedule="step", decay_every=10), 9, 2e-4),
        (Optimisation(schedule="step", decay_every=10), 10, 2e-5),
        (Optimisation(schedule="step", decay_every=10), 25, 2e-6),
        (Optimisation(schedule="cosine", steps=100), 0, 2e-4),
        (Optimisation(schedule="cosine", steps=100), 50, 1e-4),
        (Optimisation(schedule="constant"), 10**6, 2e-4),
        (Optimisation(schedule="constant", warmup=4), 0, 0.5e-4),
        (Optimisation(schedule="constant", warmup=4), 3, 2e-4),
        (Optimisation(schedule="constant", warmup=4), 4, 2e-4),
    ],
)
def test_learning_rate_falls_as_the_recipe_says(
    optimisation: Optimisation, step: int, expected: float
) -> None:
    assert learning_rate(optimisation, step, 2e-4) == pytest.approx(expected)


def test_the_batch_must_be_shared_evenly() -> None:
    with pytest.raises(ValueError, match="batch 3 cannot be shared by 2 devices"):
        Training(batch=3, devices=2)


def test_the_gan_stage_alone_starts_from_the_named_model(
    workspace: Workspace, photographs: Path
) -> None:
    first = stage.train(recipe(photographs), workspace, resume=False, fresh=False)
    start = str(first / "model.safetensors")
    alone = recipe(
        photographs,
        name="alone",
        training={"steps": 0, "init": start, "ema": 0.0},
        gan={**ADVERSARIAL, "steps": 1, "lr": 1e-12, "discriminator": "unet"},
    )
    second = stage.train(alone, workspace, resume=False, fresh=False)
    assert [line["stage"] for line in log(second)] == ["gan"] * len(log(second))
    for name, value in weights(first).items():
        if "running" not in name and "batches" not in name:
            assert torch.allclose(value, weights(second)[name], atol=1e-9), name


@pytest.mark.parametrize("optimiser", ["adam", "muon"])
def test_frozen_parts_stay_bit_for_bit_and_only_in_their_stage(
    workspace: Workspace, photographs: Path, teacher: Path, optimiser: str
) -> None:
    start = stage.train(recipe(photographs, name="start"), workspace) / "model.safetensors"
    frozen = {"init": str(start), "freeze": ["head", "body", "upsample.0"], "optimiser": optimiser}
    gan = {**ADVERSARIAL, "freeze": ["tail"], "optimiser": optimiser}
    before = zoo.load(start).module.state_dict()
    changes: dict[str, Any] = {"name": "first", "training": frozen, **NO_AFFINITY}
    first = weights(stage.distill(recipe(photographs, teacher, **changes), workspace))
    changes |= {"name": "both", "gan": gan}
    both = weights(stage.distill(recipe(photographs, teacher, **changes), workspace))
    for key in before:
        inner = key.startswith(("head.", "body.", "upsample.0."))  # statistics among them
        assert torch.equal(before[key], first[key]) == inner, key
        assert torch.equal(first[key], both[key]) == key.startswith("tail."), key


def test_a_term_that_only_frozen_parts_could_follow_is_named(
    workspace: Workspace, photographs: Path, teacher: Path
) -> None:
    changes = {"training": {"freeze": ["head", "body", "fusion"]}}
    with pytest.raises(TrainingError, match="feature_affinity"):
        stage.distill(recipe(photographs, teacher, **changes), workspace)


@pytest.mark.parametrize(
    ("freeze", "fault"),
    [
        (["head", "neck"], "no layer neck"),
        ([""], "no layer"),
        (["head", "body", "fusion", "upsample", "tail"], "nothing to train"),
    ],
)
def test_layers_that_cannot_be_frozen_are_told_before_the_first_stage(
    workspace: Workspace, photographs: Path, freeze: list[str], fault: str
) -> None:
    requested = recipe(photographs, gan={**ADVERSARIAL, "freeze": freeze})
    with pytest.raises(TrainingError, match=fault):
        stage.train(requested, workspace)
    assert not workspace.run("tiny").exists()


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"training": {"init": "teacher"}, "model": {"channels": 5}}, "needs the same width"),
        ({"training": {"init": "nowhere.safetensors"}}, "is not a model"),
        ({"training": {"tensorboard": True}}, "tensorboard is missing"),
        ({"training": {"freeze": ["neck"]}}, "no layer neck"),
        ({"training": {"optimiser": "muon", "freeze": ["body", "fusion", "upsample"]}}, "muon"),
        ({"losses": {"vgg": 0.1}}, "weights are missing"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_can_be_known_is_refused_before_the_photographs_are_decoded(
    workspace: Workspace,
    undecodable: Path,
    teacher: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    fault: str,
) -> None:
    """Decoding a large folder takes minutes, a teacher's pictures of it hours."""
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(EdgesrError, match=fault):
        stage.distill(recipe(undecodable, teacher, **changes), workspace)
    assert not workspace.run("tiny").exists()


@pytest.fixture
def undecodable(photographs: Path) -> Path:
    """Photographs of which those to train on are cut: whoever decodes them says so."""
    for path in photos.split(recipe(photographs).data).train:
        path.write_bytes(path.read_bytes()[:200])
    return photographs


def test_photographs_that_are_cut_are_refused_where_nothing_else_is_wrong(
    workspace: Workspace, undecodable: Path, teacher: Path
) -> None:
    with pytest.raises(DataError, match="none of the photographs can be used"):
        stage.distill(recipe(undecodable, teacher), workspace)


def test_a_run_that_cannot_be_written_names_the_folder_that_is_closed(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file where the runs' folder would be")
    with pytest.raises(MachineError, match=r"cannot be written to .*tiny: Not a directory"):
        check_writable(tmp_path / "runs/tiny", "the run")


def test_a_run_that_cannot_be_written_is_refused_before_the_photographs_are_decoded(
    workspace: Workspace, undecodable: Path
) -> None:
    workspace.runs.write_text("a file where the runs' folder would be")
    with pytest.raises(EdgesrError, match="cannot be written to"):
        stage.train(recipe(undecodable), workspace)


def test_a_teacher_that_makes_no_sense_is_refused_before_it_teaches(
    workspace: Workspace, undecodable: Path, tmp_path: Path
) -> None:
    torch.manual_seed(3)
    path = tmp_path / "random.safetensors"
    zoo.save(zoo.build(Srgan(blocks=2, channels=4)), path, licence="MIT")
    with pytest.raises(ModelError, match=r"random\.safetensors.*makes no sense"):
        stage.distill(recipe(undecodable, path), workspace)
    assert not workspace.run("tiny").exists()
