"""A picture in, a larger one out, over HTTP, by FastAPI.

    pip install "edgesr[cpu]" fastapi uvicorn
    uvicorn api:app
    curl --data-binary @photo.jpg http://127.0.0.1:8000/upscale -o big.png

The model: EDGESR_MODEL, a bundle's name or folder; edge-s unless given.
"""

import asyncio
import io
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from PIL import Image, UnidentifiedImageError

from edgesr import Upscaler
from edgesr.errors import EdgesrError

MOST_BYTES = 20_000_000
MOST_PIXELS = 4_000_000
AT_A_TIME = 1  # of pictures: each takes all cores, and `memory` for itself


@asynccontextmanager
async def opened(app: FastAPI) -> AsyncIterator[None]:
    """The model is there as long as the server."""
    with Upscaler(os.environ.get("EDGESR_MODEL", "edge-s")) as upscaler:
        app.state.upscaler, app.state.turn = upscaler, asyncio.Semaphore(AT_A_TIME)
        yield


app = FastAPI(title="edgesr", lifespan=opened)


@app.post("/upscale", response_class=Response)
async def upscale(request: Request) -> Response:
    """The bytes of an image file, as the body, become those of a PNG."""
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > MOST_BYTES:
            raise HTTPException(413, f"more than {MOST_BYTES} bytes")
    async with app.state.turn:
        png = await run_in_threadpool(enlarged, app.state.upscaler, bytes(data))
    return Response(png, media_type="image/png")


def enlarged(upscaler: Upscaler, data: bytes) -> bytes:
    """An image file as a PNG; what is wrong with it is an answer of its own."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.width * image.height > MOST_PIXELS:
                raise HTTPException(413, f"more than {MOST_PIXELS} pixels")
            large = upscaler(image)
    except (UnidentifiedImageError, Image.DecompressionBombError):
        raise HTTPException(415, "not an image that can be read") from None
    except EdgesrError as error:
        raise HTTPException(422, error.message) from None
    except (OSError, SyntaxError, ValueError) as error:  # how Pillow tells of damage
        raise HTTPException(422, f"a damaged image: {error}") from None
    png = io.BytesIO()
    large.save(png, "PNG", compress_level=1)
    return png.getvalue()
