"""Importing this first makes the fork server's process look like a program's: its main module has a file.

DuckDB takes a Python without one for a person's session, and draws progress bars on standard output.
"""

import sys

from orchestration.state.garbage import look_seldom

look_seldom()  # as commands do, and before all that is imported after this
sys.modules["__main__"].__file__ = __file__
