"""The jars that the wheel of Spark lacks: Iceberg's and PostgreSQL's.

Belongs here: where each is looked for, and making Iceberg's usable where only its wheel is at hand. Does not: how
Spark is given them (`tools.spark.cluster`).

Those who operate a cluster take `org.apache.iceberg:iceberg-spark-runtime-3.5_2.12` as it is published, and name it
(`make spark-up JARS=…`). The wheel `snowpark-connect-deps-iceberg` holds the same jar without the copy of Jackson that
is compiled into it under names of its own. Spark has that Jackson under its usual names: renamed in the constant pools
of its classes, as the shading of a build does, it fits. That is for development and tests, and for nothing else.
"""

from __future__ import annotations

import importlib.util
import struct
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from ingestion.raw.durable import atomic_write

_WHEEL: Final = "snowpark_connect_deps_iceberg"
_RUNTIME: Final = "iceberg-spark-runtime-3.5_2.12-*.jar"
# Where Debian's `libpostgresql-jdbc-java` puts it.
_DRIVER: Final = Path("/usr/share/java/postgresql.jar")
_PLAIN: Final = b"com/fasterxml/jackson"
_SHADED: Final = b"org/apache/iceberg/shaded/com/fasterxml/jackson"
_JACKSON: Final = ("jackson-core-2*.jar", "jackson-databind-2*.jar", "jackson-annotations-2*.jar")
# Bytes that follow the tag of a constant, by tag; text (1) states its own length.
_CONSTANT_BYTES: Final = {
    **dict.fromkeys((3, 4, 9, 10, 11, 12, 17, 18), 4),
    **dict.fromkeys((5, 6), 8),
    **dict.fromkeys((7, 8, 16, 19, 20), 2),
    15: 3,
}
# A long or a double takes two places of the pool.
_TWO_PLACES: Final = (5, 6)


class JarMissing(Exception):
    """Something that Spark needs is not installed. The text states what and how to get it."""


def spark_home() -> Path:
    """The folder of the Spark that the wheel brought. JarMissing without the wheel."""
    found = importlib.util.find_spec("pyspark")
    if found is None or found.origin is None:
        raise JarMissing("Spark is not installed; run `make spark-setup`")
    return Path(found.origin).parent


def class_path(given: Sequence[Path]) -> list[Path]:
    """Iceberg's runtime and PostgreSQL's driver: those given, else those that are installed. JarMissing."""
    for jar in given:
        if not jar.is_file():
            raise JarMissing(f"there is no jar {jar}")
    found = [jar.absolute() for jar in given]
    if not any("iceberg" in jar.name for jar in found):
        found += _from_the_wheel()
    if not any("postgresql" in jar.name for jar in found):
        if not _DRIVER.is_file():
            raise JarMissing(
                "PostgreSQL's JDBC driver is missing; install libpostgresql-jdbc-java, or name it in JARS=…"
            )
        found.append(_DRIVER)
    return found


def _from_the_wheel() -> list[Path]:
    spec = importlib.util.find_spec(_WHEEL)
    if spec is None or spec.origin is None:
        raise JarMissing("Iceberg's jar is missing; run `make spark-setup`, or name it in JARS=…")
    runtime = next((Path(spec.origin).parent / "jars").glob(_RUNTIME))
    # Beside the environment that both jars are of, and made anew with it.
    relocated = Path(sys.prefix) / "share" / "taker" / f"jackson-for-{runtime.stem}.jar"
    if not relocated.is_file():
        relocated.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(relocated) as staged:
            _relocate(relocated_from(spark_home()), staged)
    return [runtime, relocated]


def relocated_from(home: Path) -> Iterator[Path]:
    """Jackson's jars in Spark."""
    for pattern in _JACKSON:
        yield from sorted((home / "jars").glob(pattern))


def _relocate(jars: Iterator[Path], into: Path) -> None:
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as out:
        for jar in jars:
            with zipfile.ZipFile(jar) as held:
                for name in held.namelist():
                    if name.startswith(_PLAIN.decode()) and name.endswith(".class"):
                        out.writestr(
                            name.replace(_PLAIN.decode(), _SHADED.decode(), 1), relocated_class(held.read(name))
                        )


def relocated_class(data: bytes) -> bytes:
    """A compiled class with Jackson's names in its constant pool replaced by Iceberg's shaded ones."""
    count = struct.unpack(">H", data[8:10])[0]
    out, at, number = [data[:10]], 10, 1
    while number < count:
        tag = data[at]
        if tag == 1:
            length = struct.unpack(">H", data[at + 1 : at + 3])[0]
            text = data[at + 3 : at + 3 + length].replace(_PLAIN, _SHADED)
            text = text.replace(_PLAIN.replace(b"/", b"."), _SHADED.replace(b"/", b"."))
            out.append(b"\x01" + struct.pack(">H", len(text)) + text)
            at += 3 + length
        else:
            end = at + 1 + _CONSTANT_BYTES[tag]
            out.append(data[at:end])
            at = end
        number += 2 if tag in _TWO_PLACES else 1
    return b"".join(out) + data[at:]
