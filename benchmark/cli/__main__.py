"""Run the command line: `python -m benchmark.cli`."""

from benchmark.cli.main import main

main()
