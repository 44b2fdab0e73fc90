"""`python -m edgesr`, which is what torchrun starts."""

from edgesr.cli import main

main()
