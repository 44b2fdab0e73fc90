"""Recipes: what a file may say, and what its author is told when it says something else."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesr.bounds import parse_size
from edgesr.errors import RecipeError
from edgesr.recipe import Edge, GanLosses, Recipe, Srgan, VariantGates
from edgesr.recipe import io as recipe_io

RECIPES = sorted((Path(__file__).parents[1] / "recipes").glob("*.toml"))
MINIMAL = 'name = "x"\n[model]\narch = "edge"\n'


def write(folder: Path, text: str) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_every_recipe_of_the_project_loads_with_and_without_small(path: Path) -> None:
    assert recipe_io.load(path).name == path.stem
    if "[small" in path.read_text():
        assert recipe_io.load(path, small=True).data.photos == "embedded"


def test_defaults_of_the_gan_stage_are_the_papers() -> None:
    losses = GanLosses()
    assert (losses.l1, losses.vgg, losses.adversarial, losses.lpips) == (1.0, 6e-3, 1e-3, 1e-6)


def test_all_faults_are_told_at_once_with_key_value_and_nearest_key(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        'name = "x"\n[model]\narch = "edge"\nchanels = 3\n[training]\nbatch = 0\nlr = "fast"\n',
    )
    with pytest.raises(RecipeError) as caught:
        recipe_io.load(path)
    message = str(caught.value)
    assert str(path) in message
    assert "3 fault(s)" in message
    assert "model.chanels = 3: no such key; did you mean channels?" in message
    assert "training.batch = 0: Input should be greater than or equal to 1" in message
    assert "training.lr = 'fast'" in message


def test_an_unknown_table_without_a_near_name_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="zzz = 1: no such key; known keys: name, seed"):
        recipe_io.load(write(tmp_path, "zzz = 1\n" + MINIMAL))


def test_a_fault_in_the_small_table_is_told_even_when_small_is_not_asked_for(
    tmp_path: Path,
) -> None:
    path = write(tmp_path, MINIMAL + "[small.training]\nstps = 3\n")
    with pytest.raises(RecipeError, match=r"with \[small\], training.stps = 3"):
        recipe_io.load(path)


def test_small_without_a_small_table_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"no \[small\] table"):
        recipe_io.load(write(tmp_path, MINIMAL), small=True)


def test_a_term_against_the_teacher_needs_a_teacher(tmp_path: Path) -> None:
    path = write(tmp_path, MINIMAL + "[losses]\nteacher_l1 = 1.0\n")
    with pytest.raises(RecipeError, match=r"losses.teacher_l1 needs a \[teacher\]"):
        recipe_io.load(path)


def test_the_pixel_stage_has_no_discriminator_for_an_adversarial_term(tmp_path: Path) -> None:
    path = write(tmp_path, MINIMAL + "[losses]\nadversarial = 1.0\n")
    with pytest.raises(RecipeError, match="needs a discriminator"):
        recipe_io.load(path)


def test_a_gan_stage_alone_needs_something_to_start_from(tmp_path: Path) -> None:
    path = write(tmp_path, MINIMAL + "[training]\nsteps = 0\n[gan]\nsteps = 1\n")
    with pytest.raises(RecipeError, match=r"training.steps = 0 needs .* a training.init"):
        recipe_io.load(path)


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ("[losses]\nl1 = 0.0\n", "losses: every weight is 0"),
        ("[gan.losses]\nl1 = 0\nvgg = 0\nadversarial = 0\nlpips = 0\n", "gan.losses: every weight"),
        ("[training]\npatch = 16\nbatch = 1\n[gan]\n", "discriminator's batch normalisation"),
    ],
)
def test_a_stage_that_could_train_nothing_is_a_fault_of_the_recipe(
    tmp_path: Path, table: str, fault: str
) -> None:
    with pytest.raises(RecipeError, match=fault):
        recipe_io.load(write(tmp_path, MINIMAL + table))


def test_weights_of_a_stage_that_is_left_out_may_be_zero(tmp_path: Path) -> None:
    table = '[losses]\nl1 = 0\n[training]\nsteps = 0\ninit = "a.safetensors"\n[gan]\n'
    assert recipe_io.load(write(tmp_path, MINIMAL + table)).gan is not None


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"nowhere\.toml does not exist"):
        recipe_io.load(tmp_path / "nowhere.toml")


def test_broken_toml_is_told_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="line 1"):
        recipe_io.load(write(tmp_path, "name = \n"))


def test_overrides_win_over_the_small_table(tmp_path: Path) -> None:
    path = write(tmp_path, MINIMAL + "[small.training]\nsteps = 10\n")
    loaded = recipe_io.load(path, overrides=["training.steps=7", "name=other"], small=True)
    assert (loaded.training.steps, loaded.name) == (7, "other")


@pytest.mark.parametrize("text", ["training.steps", "=3", "a..b=1"])
def test_an_override_that_is_no_assignment_is_refused(text: str) -> None:
    with pytest.raises(RecipeError, match="expected key=value"):
        recipe_io.parse_override(text)


def test_an_integer_is_not_taken_for_text_nor_text_for_a_number(tmp_path: Path) -> None:
    path = write(tmp_path, MINIMAL)
    with pytest.raises(RecipeError, match=r"training\.steps = '12'"):
        recipe_io.load(path, overrides=["training.steps='12'"])


@settings(deadline=None, max_examples=50)
@given(
    model=st.one_of(
        st.builds(Srgan, blocks=st.integers(1, 32), channels=st.integers(1, 128)),
        st.builds(Edge, channels=st.integers(1, 128), depth=st.integers(1, 64)),
    ),
    steps=st.integers(1, 10**9),
    lr=st.floats(1e-9, 1.0),
    licence=st.text(st.characters(exclude_categories=("Cs", "Cc"))),
)
def test_a_dumped_recipe_reads_back_as_itself(
    model: Srgan | Edge, steps: int, lr: float, licence: str
) -> None:
    raw = {"name": "x", "model": model.model_dump(), "licence": licence}
    raw["training"] = {"steps": steps, "lr": lr}
    recipe = Recipe.model_validate(raw)
    assert recipe_io.loads(recipe_io.dumps(recipe)) == recipe


def test_the_difference_of_two_recipes_names_the_dotted_keys(tmp_path: Path) -> None:
    path = write(tmp_path, MINIMAL)
    one, other = recipe_io.load(path), recipe_io.load(path, overrides=["training.batch=4"])
    assert recipe_io.difference(one, other) == ["training.batch"]
    assert recipe_io.difference(one, one) == []


def test_a_size_is_width_by_height() -> None:
    assert parse_size("320x180") == (320, 180)


GATES = """
[gates.cpu.int8]
p95_ms = 20
size = "128x128"
max_psnr_loss_db = 0.1
[gates.openvino.uint8-io]
min_speedup = 1.5
"""


def test_gates_per_runtime_and_variant_read_back_as_they_were_written(tmp_path: Path) -> None:
    recipe = recipe_io.load(write(tmp_path, MINIMAL + GATES))
    assert recipe.gates.cpu["int8"] == VariantGates(p95_ms=20, size="128x128", max_psnr_loss_db=0.1)
    assert recipe.gates.openvino["uint8-io"].min_speedup == 1.5
    assert recipe_io.loads(recipe_io.dumps(recipe)) == recipe


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ("[gates.cpu.int9]\np95_ms = 1", "gates.cpu.int9 = 'int9': expected fp32, fp16"),
        ("[gates.tpu.int8]\np95_ms = 1", "gates.tpu = {'int8': {'p95_ms': 1}}: no such key; did"),
        ("[gates.cpu.int8]\np95 = 1", "gates.cpu.int8.p95 = 1: no such key; did you mean p95_ms?"),
        ('[gates.cpu.int8]\nsize = "128"', "gates.cpu.int8.size = '128': expected WIDTHxHEIGHT"),
    ],
)
def test_a_fault_in_a_variants_gates_is_told_with_its_place(
    tmp_path: Path, table: str, fault: str
) -> None:
    with pytest.raises(RecipeError, match=re.escape(fault)):
        recipe_io.load(write(tmp_path, f"{MINIMAL}\n{table}\n"))


@pytest.mark.parametrize("name", ["latest", "x" * 101, "../n4", "", ".n4", "n 4"])
def test_a_name_that_cannot_be_a_folders_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(f'name = "{name}"\n[model]\narch = "edge"\n')
    with pytest.raises(RecipeError, match="name = "):
        recipe_io.load(path)


def test_a_path_that_looks_like_a_number_is_a_path(tmp_path: Path) -> None:
    """`--data 2024` was read as TOML, and refused as an integer."""
    path = write(tmp_path, MINIMAL)
    loaded = recipe_io.load(path, photos="2024", teacher="true")
    assert loaded.data.photos == "2024"
    assert loaded.teacher is not None
    assert loaded.teacher.path == "true"
    assert recipe_io.load(path, photos="1", overrides=["data.photos=b"]).data.photos == "b"


@pytest.mark.parametrize("key", ["data.photos", "teacher.path", "training.init"])
def test_a_path_of_nothing_is_refused_and_does_not_mean_the_current_folder(
    tmp_path: Path, key: str
) -> None:
    with pytest.raises(RecipeError, match=rf"{key} = '': String should have at least 1 character"):
        recipe_io.load(write(tmp_path, MINIMAL), overrides=[f"{key}="])
    with pytest.raises(RecipeError, match=r"data\.photos = ''"):
        recipe_io.load(write(tmp_path, MINIMAL), photos="")


@pytest.mark.parametrize(
    "change",
    [
        "model.channels=1_000_000",
        "model.depth=1_000_000_000",
        "training.batch=1_000_000_000_000",
        "training.steps=1_000_000_000_000",
        "training.patch=1_000_000",
        "training.lr=1e300",
        "training.freeze=['" + "x" * 5000 + "']",
        "losses.l1=1e300",
        "verify.runs=1_000_000_000",
        "verify.threads=100_000",
        "verify.size=99999x99999",
        "verify.size=16384x16384",
        "verify.size=" + "9" * 5000 + "x1",
        "verify.shapes=[" + "'1x1'," * 1000 + "]",
        "export.int8.images=1_000_000_000",
        "gates.max_mb=1e300",
        "seed=" + "9" * 30,
        "seed=" + "9" * 5000,
        "seed=0x" + "f" * 5000,
        "licence=" + "x" * 5000,
        "licence='''a\nb'''",
        "data.photos='''a\\\x1b[2J'''",
    ],
)
def test_a_value_out_of_bounds_is_refused_in_a_short_line(change: str, tmp_path: Path) -> None:
    """Each of these took all memory, crashed the process, ran for ever or filled the terminal."""
    with pytest.raises(RecipeError, match=change.partition("=")[0].replace(".", r"\.")) as caught:
        recipe_io.load(write(tmp_path, MINIMAL), overrides=[change])
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    "changes",
    [["model.channels=4096", "model.depth=1024"], ["training.patch=4096", "training.batch=65536"]],
)
def test_values_that_are_allowed_one_by_one_may_be_too_much_together(
    changes: list[str], tmp_path: Path
) -> None:
    with pytest.raises(RecipeError, match="expected at most 1,0"):
        recipe_io.load(write(tmp_path, MINIMAL), overrides=changes)


def test_of_20000_faults_the_first_20_are_told(tmp_path: Path) -> None:
    path = write(tmp_path, MINIMAL + "".join(f"key{i} = {i}\n" for i in range(20_000)))
    with pytest.raises(RecipeError, match="20,000 fault") as caught:
        recipe_io.load(path)
    assert str(caught.value).endswith("\n  and 19,980 more")
    assert len(str(caught.value)) < 8000


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = " + "[" * 1000 + "]" * 1000, "nested too deeply"),
        ("x = " + "9" * 5000, "4300 digits"),
        ("x = 1\n" * 300_000, "1,800,000 bytes, expected at most 1,048,576"),
    ],
)
def test_a_file_that_python_cannot_take_is_told_in_one_line(
    text: str, said: str, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError, match=said):
        recipe_io.load(write(tmp_path, text))


def test_a_byte_order_mark_is_read_over_and_another_encoding_is_told(tmp_path: Path) -> None:
    path = write(tmp_path, MINIMAL)
    path.write_bytes(b"\xef\xbb\xbf" + MINIMAL.encode())
    assert recipe_io.load(path).name == "x"
    path.write_bytes(MINIMAL.encode("utf-16"))
    with pytest.raises(RecipeError, match="'utf-8' codec can't decode"):
        recipe_io.load(path)


def test_a_pipe_a_device_and_a_folder_are_no_recipes(tmp_path: Path) -> None:
    """A pipe that nobody writes to would be waited for, for ever."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(RecipeError, match="is not a file"):
            recipe_io.load(path)


@pytest.mark.parametrize("text", ["a." * 100_000 + "b=1", "seed=" + "[" * 5000])
def test_an_override_of_any_depth_is_refused_in_a_short_line(text: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        recipe_io.load(write(tmp_path, MINIMAL), overrides=[text])
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("sgima = [0.1, 0.2]", "data.degradation.sgima .*: no such key; did you mean sigma"),
        ("sigma = [0.5, 0.1]", r"data.degradation.sigma = \[0.5, 0.1\]: expected \[lowest"),
        ("sigma = [0.5]", "data.degradation.sigma .* at least 2 items"),
        (
            "jpeg = 0.9\nwebp = 0.5",
            "data.degradation: jpeg \\+ webp \\+ h264 \\+ av1 = 1.4, expected at most 1",
        ),
        ("region = 80", "data.degradation.region = 80, expected at least training.patch = 96"),
    ],
)
def test_faults_of_a_degradation_are_told_by_key_and_value(
    tmp_path: Path, line: str, told: str
) -> None:
    path = write(tmp_path, f'{MINIMAL}[data.degradation]\nkind = "real"\n{line}\n')
    with pytest.raises(RecipeError, match=told):
        recipe_io.load(path)


def test_an_unknown_kind_of_degradation_lists_the_known_ones(tmp_path: Path) -> None:
    path = write(tmp_path, MINIMAL + '[data.degradation]\nkind = "rael"\n')
    with pytest.raises(RecipeError, match="'bicubic', 'real'"):
        recipe_io.load(path)
