"""`python -m edge_liif`."""

from .cli import main

main()
