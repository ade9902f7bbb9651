"""Whether the master accepts this program's secret, found out before a session waits for it.

Belongs here: one connection of Spark's own kind. Does not: whether anything listens (`reach`), the session (`session`).

A master that refuses the secret is tried for a minute, and what is then reported is a listener that was stopped: why is
in Spark's log alone. By the classes of Spark 3.5 that the session uses itself; where they are others, nothing is found
out, and the session reports what it can.
"""

from __future__ import annotations

from typing import Any, Final

_REFUSED: Final = "javax.security.sasl.SaslException"
# Its log would be a page of Java before the sentence.
_LOGGER: Final = "org.apache.spark.network.client.TransportClientFactory"


class SecretRefused(Exception):
    """The master takes no program with this secret. The text states which and what to do."""


def require_accepted() -> None:
    """SecretRefused where the master of `spark-defaults.conf` refuses `spark.authenticate.secret`.

    Starts the Java process of the session that follows.
    """
    from py4j.protocol import Py4JError
    from pyspark import SparkContext

    SparkContext._ensure_initialized()
    jvm: Any = SparkContext._jvm
    conf = jvm.org.apache.spark.SparkConf(True)
    master = conf.get("spark.master", "")
    if not master.startswith("spark://") or conf.get("spark.authenticate", "false") != "true":
        return
    try:
        _connect(jvm, conf, master)
    except Py4JError as error:
        if _REFUSED in str(error):
            raise SecretRefused(
                f"the master {master} refuses this program: `spark.authenticate.secret` of spark-defaults.conf is not "
                "the cluster's; take the file of the cluster that runs"
            ) from None


def _connect(jvm: Any, conf: Any, master: str) -> None:
    """Of several masters the first: all of a cluster have one secret."""
    host, _, port = master.removeprefix("spark://").split(",")[0].rpartition(":")
    of_spark = jvm.org.apache.spark
    security = of_spark.SecurityManager(
        conf,
        getattr(of_spark.SecurityManager, "$lessinit$greater$default$2")(),
        getattr(of_spark.SecurityManager, "$lessinit$greater$default$3")(),
    )
    log = jvm.org.apache.logging.log4j
    log.core.config.Configurator.setLevel(_LOGGER, log.Level.OFF)
    environment = of_spark.rpc.RpcEnv.create("taker", "127.0.0.1", 0, conf, security, True)
    try:
        environment.createClient(of_spark.rpc.RpcAddress(host.strip("[]"), int(port)))
    finally:
        environment.shutdown()
        log.core.config.Configurator.setLevel(_LOGGER, log.Level.ERROR)
