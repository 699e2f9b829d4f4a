"""``python -m clt.command``: the command ``clt``, where its script is not on the path."""

from clt.command.cli import main

main(prog_name="clt")
