"""The commands of `taker`, one module each.

Belongs here: options, and a few calls. Does not: work. Heavy imports happen inside the functions: `taker --help` and
`taker sql` answer at once.
"""
