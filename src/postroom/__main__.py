"""`python -m postroom` is the command `postroom`."""

from postroom.cli.main import run

run()
