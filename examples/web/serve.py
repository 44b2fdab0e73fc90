"""Serve the page, with a bundle as its model/ and BUNDLE-real as its real/, to this machine.

    python serve.py [BUNDLE] [PORT]      # ../../exports/edge-s, 8000

real/ is for JPEGs and noise, and not there where BUNDLE-real is not beside BUNDLE.

Any static server does as well (`python -m http.server`, the bundle copied or linked to model/), but
only with the two headers below does a browser let WebAssembly use several threads.
"""

from __future__ import annotations

import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE = Path(__file__).resolve().parent


class Handler(SimpleHTTPRequestHandler):
    extensions_map = SimpleHTTPRequestHandler.extensions_map | {
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def __init__(self, bundle: Path, *args: object) -> None:
        self.bundle = bundle
        super().__init__(*args, directory=str(HERE))  # type: ignore[arg-type]

    def translate_path(self, path: str) -> str:
        inside = Path(super().translate_path(path)).relative_to(HERE)
        bundles = {"model": self.bundle, "real": Path(f"{self.bundle}-real")}
        if inside.parts and inside.parts[0] in bundles:
            return str(bundles[inside.parts[0]].joinpath(*inside.parts[1:]))
        return str(HERE / inside)

    def end_headers(self) -> None:
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()


def main(bundle: str = f"{HERE}/../../exports/edge-s", port: str = "8000") -> None:
    if not (Path(bundle) / "card.json").is_file():
        sys.exit(f"{bundle} is not a bundle: it has no card.json")
    handler = partial(Handler, Path(bundle).absolute())
    with ThreadingHTTPServer(("127.0.0.1", int(port)), handler) as server:
        print(f"http://127.0.0.1:{server.server_port}/", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    if len(sys.argv) > 3 or not "".join(sys.argv[2:] or "0").isdigit():
        sys.exit("usage: python serve.py [BUNDLE] [PORT]")
    main(*sys.argv[1:])
