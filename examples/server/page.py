"""A page that enlarges a picture, by Gradio.

pip install "edgesr[cpu]" gradio
python page.py
"""

import os

import gradio
from PIL import Image

from edgesr import Upscaler
from edgesr.errors import EdgesrError

upscaler = Upscaler(os.environ.get("EDGESR_MODEL", "edge-s"))


def enlarged(image: Image.Image) -> Image.Image:
    """What the page shows: the larger picture, or why there is none."""
    try:
        return upscaler(image)
    except EdgesrError as error:
        raise gradio.Error(error.message) from None


page = gradio.Interface(
    enlarged,
    gradio.Image(type="pil", label="small"),
    gradio.Image(type="pil", format="png", label=f"{upscaler.scale} times larger"),
    title="edgesr",
    flagging_mode="never",
    api_name="upscale",
)

if __name__ == "__main__":
    page.launch()
