"""`python -m searchlab.cli` is `searchlab`."""

from searchlab.cli import main

main()
