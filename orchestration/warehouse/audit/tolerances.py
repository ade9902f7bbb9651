"""How far a recomputed number may lie from a stored one."""

from typing import Final

# Marts hold amounts rounded to 1e-8: a sum of 24 rounded hours may differ from the rounded day by half of that per
# hour, on each side. Anything beyond is a lost bar.
ROUNDING: Final = 1e-6
# Ratios and percentiles are doubles of exact operands.
DOUBLE: Final = 1e-9
# Coverages are decimals of 8 places, summed.
SHARE: Final = 1e-7
