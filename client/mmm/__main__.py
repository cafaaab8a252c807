"""`python -m mmm`: the command."""

from mmm.command import main

main(prog_name="mmm")
