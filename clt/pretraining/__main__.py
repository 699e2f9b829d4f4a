"""``python -m clt.pretraining``: make an encoder such as ``clt-mini``."""

from clt.pretraining import main

main(prog_name="python -m clt.pretraining")
