"""Shards that a recipe names: found, read, and the few photographs that stand for all."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edgesr.data import photos, shards
from edgesr.data.draws import Draws
from edgesr.errors import DataError, MissingPackage
from edgesr.recipe import Data
from tests.streams import picture, write_shard, write_shards

webdataset = pytest.importorskip("webdataset", reason="needs WebDataset (edgesr[stream])")


def sources(*patterns: str, weights: tuple[float, ...] = ()) -> list[shards.Source]:
    if not weights:
        return shards.find(Data(photos=patterns[0]))
    named = [{"photos": p, "weight": w} for p, w in zip(patterns, weights, strict=True)]
    return shards.find(Data.model_validate({"sources": named}))


def draws(found: list[shards.Source], *, held_out: int = 0, seed: int = 0) -> Draws:
    return Draws(found, seed=seed, held_out=held_out)


def names(made: Draws, count: int) -> list[str]:
    return [made.next().name.stem for _ in range(count)]


def test_braces_and_stars_name_the_same_shards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pattern = write_shards(tmp_path / "s", [1, 1, 1])
    (by_braces,), (by_star,) = sources(pattern), sources(f"{tmp_path}/s/*.tar")
    assert by_braces.shards == by_star.shards == [tmp_path / f"s/00{n}.tar" for n in range(3)]
    monkeypatch.chdir(tmp_path)
    assert [each.name for each in sources("s/*.tar")[0].shards] == ["000.tar", "001.tar", "002.tar"]


def test_a_folder_of_images_is_not_streamed(tmp_path: Path) -> None:
    assert shards.find(Data(photos=str(tmp_path))) == []
    assert shards.find(Data()) == []


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("s/{000..003}.tar", r"there is no shard s/002\.tar, one of the 4 that s/\{000\.\.003\}"),
        ("t/*.tar", r"there is no shard t/\*\.tar"),
        ("s/{000,.tar", r"s/\{000,\.tar is no pattern of shards"),
    ],
)
def test_a_shard_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str, said: str
) -> None:
    write_shards(tmp_path / "s", [1, 1])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=said):
        sources(pattern)


def test_one_of_several_sources_is_no_folder_of_images(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is nothing that is streamed"):
        sources(str(tmp_path), weights=(1.0,))


def test_no_command_is_run_that_a_recipe_names(tmp_path: Path) -> None:
    """WebDataset itself takes `pipe:` and addresses for shards."""
    with pytest.raises(DataError, match="there is no shard"):
        sources(f"pipe:touch {tmp_path}/made.tar")
    assert not (tmp_path / "made.tar").exists()


def test_a_missing_package_is_one_line_that_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pattern = write_shards(tmp_path, [1])
    monkeypatch.setitem(sys.modules, "webdataset", None)
    with pytest.raises(
        MissingPackage, match=r'webdataset is not .*: pip install "edgesr\[stream\]"'
    ):
        sources(pattern)


def test_what_is_beside_a_picture_is_not_read_and_two_pictures_are_refused(tmp_path: Path) -> None:
    parts = {"png": picture(0), "json": b"{}", "txt": b"a cat", "pyd": b"no pickle"}
    (found,) = shards.tar(write_shard(tmp_path / "a.tar", {"cat": parts}))
    assert found == photos.Encoded(tmp_path / "a.tar/cat.png", parts["png"])
    two = write_shard(tmp_path / "b.tar", {"cat": {"hr.png": picture(0), "lr.png": picture(1)}})
    with pytest.raises(DataError, match=r"sample cat has 2 pictures, hr\.png, lr\.png; expected"):
        list(shards.tar(two))


def test_the_first_photographs_are_held_out_and_never_drawn(tmp_path: Path) -> None:
    found = sources(write_shards(tmp_path, [4, 3]))
    split = photos.split(Data(photos=found[0].name, validation=2))
    assert [path.read_bytes() for path in split.validation] == [picture(0), picture(1)]
    assert [path.read_bytes() for path in split.train] == [picture(2), picture(3)]
    drawn = names(draws(found, held_out=2), 50)
    assert set(drawn) == {"0002", "0003", "0100", "0101", "0102"}


def test_all_may_not_be_held_out(tmp_path: Path) -> None:
    pattern = write_shards(tmp_path, [2, 5])
    with pytest.raises(DataError, match=r"000\.tar has 2 photographs, of which .* 4 would be"):
        photos.split(Data(photos=pattern, validation=4))


def test_every_photograph_comes_once_before_any_comes_again(tmp_path: Path) -> None:
    made = draws(sources(write_shards(tmp_path, [3, 4, 2])))
    epochs = [names(made, 9) for _ in range(4)]
    assert all(sorted(epoch) == sorted(epochs[0]) for epoch in epochs)
    assert len(set(epochs[0])) == 9
    assert len({tuple(epoch) for epoch in epochs}) > 1, "shards come in another order each time"


def test_sources_are_drawn_in_proportion_to_their_weights(tmp_path: Path) -> None:
    one, two = write_shards(tmp_path / "a", [3]), write_shards(tmp_path / "b", [5], first=50)
    drawn = names(draws(sources(one, two, weights=(3.0, 1.0))), 2000)
    assert sum(int(name) < 50 for name in drawn) == pytest.approx(1500, abs=80)


def test_draws_go_on_wherever_their_state_was_taken(tmp_path: Path) -> None:
    one, two = write_shards(tmp_path / "a", [3, 2]), write_shards(tmp_path / "b", [4], first=50)
    found = sources(one, two, weights=(1.0, 2.0))
    whole = names(draws(found, held_out=1), 40)
    for done in (0, 1, 7, 23):
        first = draws(found, held_out=1)
        names(first, done)
        second = draws(found, held_out=1)
        second.restore(first.state())
        assert names(second, 40 - done) == whole[done:]


def test_the_rest_of_a_damaged_shard_is_left_out_which_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pattern = write_shards(tmp_path, [3, 3])
    shard = tmp_path / "001.tar"
    shard.write_bytes(shard.read_bytes()[:14000])
    drawn = names(draws(sources(pattern)), 40)
    assert set(drawn) == {"0000", "0001", "0002", "0100"}
    said = f"the rest of {shard} is left out: unexpected end of data\n"
    assert capsys.readouterr().err.count(said) == 1


def test_a_benchmark_set_never_trains_whatever_holds_it(tmp_path: Path) -> None:
    names = ("baby", "bird", "butterfly", "head", "woman")
    pictures = {name: {"png": picture(n)} for n, name in enumerate(names)}
    write_shard(tmp_path / "Set5.tar", pictures)
    with pytest.raises(DataError, match=r"Set5\.tar is the benchmark set Set5, which measures"):
        photos.split(Data(photos=f"{tmp_path}/Set5.tar", validation=1))
    write_shards(tmp_path / "Set14", [6])
    assert photos.split(Data(photos=f"{tmp_path}/Set14/*.tar", validation=1)).train


def test_what_is_no_tar_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"no tar" * 1000)
    with pytest.raises(DataError, match=r"the shard .*a\.tar cannot be read"):
        photos.split(Data(photos=f"{tmp_path}/a.tar"))


def test_shards_without_pictures_are_an_error_instead_of_a_search_without_end(
    tmp_path: Path,
) -> None:
    texts = {"a": {"txt": b"a"}}
    for number in range(2):
        write_shard(tmp_path / f"00{number}.tar", texts)
    with pytest.raises(DataError, match=r"no shard of .*\*\.tar has a photograph to train on"):
        draws(sources(f"{tmp_path}/*.tar")).next()
