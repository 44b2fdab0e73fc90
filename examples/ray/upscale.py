"""Many pictures on many machines, by Ray Data: edgesr's Upscaler in every actor.

    pip install 'edgesr[ray]'
    python upscale.py ../../exports/edge-s s3://bucket/photos s3://bucket/large --actors 32
    python upscale.py ../../exports/edge-s photos large --actors 2 --threads 1

Source and target are folders, or object stores as pyarrow knows them. Every picture becomes a PNG
as soon as it is enlarged; one whose PNG is there is left out, so that a run that ended goes on.
Where an actor or its machine is lost, Ray does its pictures again. Copy and change (Apache-2.0).
"""

from __future__ import annotations

import argparse
import io
import json
import posixpath
import sys
from pathlib import Path
from typing import Any

import ray
from PIL import Image, UnidentifiedImageError
from pyarrow import fs

import edgesr
from edgesr.errors import EdgesrError

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
PART = ".part"

Row = dict[str, Any]


def place(uri: str) -> tuple[fs.FileSystem, str]:
    """The file system of a folder or an object store, and the path in it."""
    if "://" in uri:
        return fs.FileSystem.from_uri(uri)
    return fs.LocalFileSystem(), posixpath.abspath(uri)


def files(uri: str) -> set[str]:
    """The files below `uri`, by their paths from there."""
    system, root = place(uri)
    found = system.get_file_info(fs.FileSelector(root, recursive=True, allow_not_found=True))
    return {posixpath.relpath(each.path, root) for each in found if each.is_file}


def written(name: str) -> str:
    """What becomes of a picture: its suffix stays in the name, so that no two get the same."""
    return f"{name}.png"


class Enlarge:
    """An actor: one model, open once, for all pictures that it gets."""

    def __init__(self, model: str, source: str, target: str, **how: Any) -> None:
        self.upscaler = edgesr.Upscaler(model, **how)
        self.source, self.source_root = place(source)
        self.target, self.target_root = place(target)

    def __call__(self, row: Row) -> Row:
        """Enlarge one picture; what is wrong with it does not stop the others."""
        name = row["name"]
        try:
            size = self.enlarge(name)
        except (EdgesrError, OSError, ValueError) as error:
            return {"name": name, "state": "failed", "width": 0, "height": 0, "reason": str(error)}
        return {"name": name, "state": "done", "width": size[0], "height": size[1], "reason": ""}

    def enlarge(self, name: str) -> tuple[int, int]:
        """From file to file; returns width and height of the result."""
        with self.source.open_input_file(posixpath.join(self.source_root, name)) as file:
            data = io.BytesIO(file.read())
        try:
            image = Image.open(data)
        except UnidentifiedImageError:
            raise ValueError("not an image, or damaged at its beginning") from None
        large, png = self.upscaler(image), io.BytesIO()
        large.save(png, "PNG", compress_level=1)  # at 6 that takes longer than the network
        self.write(posixpath.join(self.target_root, written(name)), png.getvalue())
        return large.size

    def write(self, path: str, data: bytes) -> None:
        """Under its name only once it is whole; an object store does that by itself."""
        local = isinstance(self.target, fs.LocalFileSystem)
        if local:
            self.target.create_dir(posixpath.dirname(path), recursive=True)
        with self.target.open_output_stream(path + PART if local else path) as file:
            file.write(data)
        if local:
            self.target.move(path + PART, path)


def upscale(
    model: str, source: str, target: str, *, actors: int, gpus: float = 0, **how: Any
) -> list[Row]:
    """Enlarge what is left to do; returns a row for each picture of it.

    Args:
        actors: each with a model of its own.
        gpus: that an actor needs; 0.5 where two share one.
        how: see `edgesr.Upscaler`.
    """
    done = files(target)
    names = sorted(
        name
        for name in files(source)
        if name.lower().endswith(PICTURES) and written(name) not in done
    )
    if not names:
        return []
    settings = {"source": source, "target": target, "model": model, **how}
    data = ray.data.from_items([{"name": name} for name in names], override_num_blocks=len(names))
    enlarged = data.map(
        Enlarge,
        fn_constructor_kwargs=settings,
        concurrency=actors,
        num_cpus=how.get("threads") or 1,
        num_gpus=gpus or None,
        max_restarts=-1,
        max_task_retries=-1,
    )
    return list(enlarged.iter_rows())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="a bundle's folder, on every machine")
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("--variant", default="int8")
    parser.add_argument("--actors", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1, help="of each actor")
    parser.add_argument("--gpus", type=float, default=0, help="of each actor")
    parser.add_argument("--manifest", help="write a line of JSON for each picture")
    options = parser.parse_args()
    rows = upscale(
        options.model,
        options.source,
        options.target,
        actors=options.actors,
        gpus=options.gpus,
        variant=options.variant,
        threads=options.threads,
        provider="cuda" if options.gpus else "cpu",
    )
    if options.manifest:
        lines = (json.dumps(row) + "\n" for row in rows)
        Path(options.manifest).write_text("".join(lines), encoding="utf-8")
    failed = [row for row in rows if row["state"] == "failed"]
    for row in failed:
        print(f"{row['name']}: {row['reason']}", file=sys.stderr)
    print(f"{options.target}: {len(rows) - len(failed)} enlarged, {len(failed)} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
