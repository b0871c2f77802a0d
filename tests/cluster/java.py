"""Java programs, started from jars without the shell scripts of their distributions."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from tests.bundle import STATE

_LOCKS = Path(__file__).with_name("jars")
# Flink, Spark and Kryo reach into these of Java 17.
_OPENED = (
    *("java.lang", "java.lang.invoke", "java.lang.reflect", "java.io", "java.net", "java.nio"),
    *("java.text", "java.time", "java.util", "java.util.concurrent", "java.util.concurrent.atomic"),
    *("java.util.concurrent.locks", "sun.nio.ch", "sun.nio.cs", "sun.security.action", "sun.util.calendar"),
)
# On few cores, for minutes: the optimising compiler and the parallel collector would cost more than they give.
_SHORT_LIVED = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
_LOG_TO_STDOUT = """
rootLogger.level = INFO
rootLogger.appenderRef.stdout.ref = stdout
appender.stdout.name = stdout
appender.stdout.type = Console
appender.stdout.layout.type = PatternLayout
appender.stdout.layout.pattern = %d{ISO8601} %-5p %c{1}: %m%n%throwable
"""


def home() -> dict[str, str]:
    """The variable that names Java's folder to programs which start Java, where it is set; empty is as good as not set."""
    folder = os.environ.get("JAVA_HOME")
    return {"JAVA_HOME": folder} if folder else {}


def distribution(name: str) -> Path:
    """The folder of a cluster's distribution.

    Args:
      name: Package in the interpreter of the clusters: `pyflink` or `pyspark`.

    Raises:
      FileNotFoundError: It is not there.
    """
    for folder in STATE.glob(f"cluster/lib/python3*/site-packages/{name}"):
        return folder
    raise FileNotFoundError(f"no {name} below {STATE / 'cluster'}: run include/bootstrap.sh cluster")


def locked_jars(lock: str) -> list[str]:
    """Class path of the jars of a lock.

    Args:
      lock: `flink` or `spark`, see tests/cluster/jars.

    Raises:
      FileNotFoundError: They were not fetched.
    """
    folder = STATE / "jars"
    if not (folder / "locked").exists():
        raise FileNotFoundError(f"no jars in {folder}: run include/bootstrap.sh cluster")
    lines = (_LOCKS / f"{lock}.txt").read_text().splitlines()
    return [str(folder / line.split(maxsplit=1)[1]) for line in lines]


def command(
    main: str, class_path: Sequence[str], arguments: Sequence[str], folder: Path, options: Sequence[str] = ()
) -> list[str]:
    """The command that runs a program.

    Args:
      main: Name of the class with its `main`.
      class_path: Jars, the first first.
      arguments: Of the program.
      folder: For its temporary files.
      options: Of Java's virtual machine, such as its memory.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "log4j2.properties").write_text(_LOG_TO_STDOUT)
    java = os.path.join(home()["JAVA_HOME"], "bin", "java") if home() else "java"
    return [
        java,
        *_SHORT_LIVED,
        *(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENED),
        f"-Djava.io.tmpdir={folder}",
        f"-Dlog4j.configurationFile={folder / 'log4j2.properties'}",
        *options,
        "-cp",
        os.pathsep.join(class_path),
        main,
        *arguments,
    ]
