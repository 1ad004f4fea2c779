"""Seconds of fits of Spark's MultilayerPerceptronClassifier, for `dask_cluster.py`.

    python benchmarks/spark_mlp.py FOLDER --hidden 64 32 --cores 2 < REQUESTS

It needs PySpark and Java, and nothing of skrelu, so that Spark may live in a Python of its own. FOLDER holds Parquet
files with the class in the column `label`; all other columns are features. They are assembled into vectors and cached
before the first fit. Requests and answers are lines of JSON: the first answer describes Spark, then each request,
{"block_size": 128, "n_iter": 5}, is answered with the seconds and the iterations of a fit.

Spark multiplies matrices with the system's BLAS if it finds `libblas.so.3`, else in Java; the first answer says which.
"""

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import IO, Any

LABEL = "label"


class Spark:
    """A session on the cores of this machine, with the rows in its memory."""

    def __init__(self, folder: Path, hidden: list[int], n_cores: int) -> None:
        from pyspark.ml.feature import VectorAssembler
        from pyspark.sql import SparkSession

        # The workers are threads of one Java process, that of the driver.
        builder = SparkSession.builder.master(f"local[{n_cores}]").config("spark.driver.memory", "4g")
        settings = {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false"}
        for name, value in settings.items():
            builder = builder.config(name, value)
        self._session = builder.getOrCreate()
        self._session.sparkContext.setLogLevel("ERROR")
        table = self._session.read.parquet(str(folder))
        names = [name for name in table.columns if name != LABEL]
        rows = VectorAssembler(inputCols=names, outputCol="features").transform(table).select("features", LABEL)
        self._rows = rows.repartition(n_cores).cache()
        self._rows.count()
        self._layers = [len(names), *hidden, self._rows.select(LABEL).distinct().count()]

    def describe(self) -> dict[str, Any]:
        machine = self._session.sparkContext._jvm
        netlib = machine.dev.ludovic.netlib.blas
        try:
            blas = netlib.NativeBLAS.getInstance()
        except Exception:  # this machine has no library that Spark can load, so Spark multiplies in Java
            blas = netlib.JavaBLAS.getInstance()
        return {
            "spark": self._session.version,
            "java": machine.java.lang.System.getProperty("java.version"),
            "python": platform.python_version(),
            "blas": blas.getClass().getSimpleName(),
            "layers": self._layers,
        }

    def fit(self, block_size: int, n_iter: int) -> dict[str, Any]:
        from pyspark.ml.classification import MultilayerPerceptronClassifier

        classifier = MultilayerPerceptronClassifier(
            labelCol=LABEL,
            layers=self._layers,
            solver="l-bfgs",
            blockSize=block_size,
            maxIter=n_iter,
            tol=0.0,
            seed=0,
        )
        start = time.perf_counter()
        summary = classifier.fit(self._rows).summary()
        seconds = time.perf_counter() - start
        return {"seconds": seconds, "n_iter": summary.totalIterations, "loss": summary.objectiveHistory[-1]}


def serve(requests: IO[str], answers: IO[str], arguments: argparse.Namespace) -> None:
    """Answer every line; an error is an answer, too."""

    def answer(value: dict[str, Any]) -> None:
        print(json.dumps(value), file=answers, flush=True)

    try:
        spark = Spark(arguments.folder, arguments.hidden, arguments.cores)
        answer(spark.describe())
        for line in requests:
            answer(spark.fit(**json.loads(line)))
    except Exception as error:
        answer({"error": f"{type(error).__name__}: {error}"})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--hidden", type=int, nargs="*", default=[])
    parser.add_argument("--cores", type=int, default=2)
    arguments = parser.parse_args()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what Spark prints must not be read as an answer
    serve(sys.stdin, answers, arguments)


if __name__ == "__main__":
    main()
