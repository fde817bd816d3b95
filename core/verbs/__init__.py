"""The verbs of `poemcore`, one module each: `add(subparsers)` declares it, `run(args)` does it and returns a code.

Modules here import nothing heavy at module scope, so that `--help` answers at once.
"""
