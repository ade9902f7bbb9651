"""Addresses without their secrets: the one function through which every URL leaves the program.

Belongs here: what of an address is secret, in a text that may hold several. Does not: where texts leave (errors, logs,
metadata, files), or whether an address is valid.

A user and a password before the host, and the values of query parameters that grant access, become `***`. What is not
certain is hidden: a password with an unescaped `/` or `@` makes an invalid address, and is hidden with what follows it
up to the last `@`.
"""

from __future__ import annotations

import re
from typing import Final

HIDDEN: Final = "***"
# What messages write in place of a user and a password: it is an example, and no secret.
PLACEHOLDER: Final = "user:password@"
# All up to the last `@` of one address; blanks, quotes and angle brackets end an address. In JSON a letter may be \\u….
_USER: Final = re.compile(r"""(?<=://)(?:[^\s"'`<>\\@]|\\u[0-9a-fA-F]{4})+@(?:[^\s"'`<>\\@]*@)*""")
# The names under which servers take a key, a signature or a token: S3's, Azure's, CloudFront's and the usual ones.
_PARAMETER: Final = re.compile(
    r"""([?&;](?:[\w.-]*[-_])?(?:signature|credential|security-token|token|sig|key|apikey|key-pair-id|secret|password"""
    r"""|passwd|pwd|auth|authorization|policy|accesskeyid|awsaccesskeyid)=)[^\s"'`<>\\&;,)]+""",
    re.IGNORECASE,
)


def redacted(text: str) -> str:
    """The text with the secrets of its addresses hidden; the same again when applied twice."""
    if "://" in text:
        text = _USER.sub(lambda user: user[0] if user[0] == PLACEHOLDER else f"{HIDDEN}@", text)
    return _PARAMETER.sub(rf"\1{HIDDEN}", text) if "=" in text else text
