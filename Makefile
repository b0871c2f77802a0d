# The commands of this bundle; `make` lists them. All state stays in one folder.
SHELL := bash
.SHELLFLAGS := -o pipefail -c
.DEFAULT_GOAL := help
# In .state/, or the folder that TFX_STATE names, as for the scripts.
STATE ?= $(or $(TFX_STATE),$(CURDIR)/.state)
export TFX_STATE := $(STATE)
ENV := eval "$$(include/env.sh)"
DAG ?= taxi
MYPY := $(STATE)/airflow/bin/mypy --no-error-summary
MLMD ?= sqlite:///$(STATE)/home/tfx/mlmd/metadata.db

.PHONY: help setup demo up panel test test-fast test-long test-tfx test-cluster test-shipped replay notebook bench bench-flink bench-versions lint lock env doctor clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

setup: ## make both interpreters and an empty Airflow; EXTRAS=s3 or gs: with drivers of that object store, from then on
	@EXTRAS="$(EXTRAS)" include/bootstrap.sh
	@$(ENV); [ -z "$$AIRFLOW__DATABASE__SQL_ALCHEMY_CONN" -a -f "$$AIRFLOW_HOME/airflow.db" ] || { echo "==> airflow db migrate" >&2; airflow db migrate >"$(STATE)/migrate.log" 2>&1 || { tail -n 20 "$(STATE)/migrate.log" >&2; exit 1; }; }

demo: setup ## train, evaluate and push the taxi model: one DAG run on the embedded default
	@$(ENV); python -m include.tfx_airflow demo $(DAG)

up: setup ## start Airflow with the DAGs; Ctrl-C stops all of it
	@$(ENV); exec python -m include.tfx_airflow up

panel: setup ## the panel alone, on any MLMD store: make panel MLMD=sqlite:////path/metadata.db; Ctrl-C stops it
	@cd plugins && exec $(STATE)/airflow/bin/python -m mlmd_panel --mlmd "$(MLMD)" $(ARGS)

test: lint setup ## set up what is missing and run the tests
	@tests/run.sh

test-fast: lint ## the tests that need neither a scheduler nor a TFX run: under a minute
	@tests/run.sh fast

test-long: lint setup ## what 'make test' leaves out: more months, servers and kills of what it shows once
	@tests/run.sh long

test-tfx: setup ## of the tests, those that another version of TFX may change; tests/debian13.sh runs them with TFX 1.21 where Debian is older
	@include/bootstrap.sh tests
	@tests/run.sh tfx

test-cluster: lint setup ## Beam on a real Flink and a real Spark, artifacts on an S3 server (needs Java 17)
	@tests/run.sh cluster

test-shipped: setup ## TFX's example pipeline, and the DAG files it ships for its Airflow runner, run as far as they go
	@include/bootstrap.sh tests
	@$(STATE)/airflow/bin/python -m pytest -v tests/shipped

replay: setup ## a year of monthly retraining through the real scheduler, with a picture (some minutes)
	@$(ENV); python -m include.tfx_airflow replay taxi_retraining 2013-12-01 2014-12-01 --before taxi_ingest $(ARGS)

notebook: setup ## the taxi pipeline's components in JupyterLab, one per cell; Ctrl-C stops it
	@exec $(STATE)/tfx/bin/jupyter lab --ServerApp.root_dir=. include/notebooks/taxi.ipynb

bench: setup ## measure against LocalDagRunner and TFX's own AirflowDagRunner, and the panel (two hours; nothing else should run)
	@include/bootstrap.sh bench && include/bootstrap.sh services && include/bootstrap.sh panel
	@# A target that one of them misses does not keep the next from being measured.
	@missed=0; \
	$(STATE)/stock/bin/python -m tests.benchmarks $(ARGS) || missed=1; \
	PYTHONPATH=.:plugins $(STATE)/panel/bin/python -m tests.benchmarks.panel || missed=1; \
	PYTHONPATH=.:plugins $(STATE)/panel/bin/python -m tests.benchmarks.year || missed=1; \
	exit $$missed

bench-flink: setup ## measure the taxi pipeline on a real Flink against LocalDagRunner (needs Java 17; nothing else should run)
	@include/bootstrap.sh cluster
	@$(STATE)/airflow/bin/python -m tests.benchmarks.flink $(ARGS)

bench-versions: setup ## measure TFX 1.21, in a Debian 13 of its own, beside TFX 1.16 (needs root; nothing else should run)
	@include/bootstrap.sh tests
	@$(STATE)/airflow/bin/python -m tests.benchmarks.versions $(ARGS)

lint: ## ruff, types, and which room imports which
	@include/bootstrap.sh tests
	@$(STATE)/airflow/bin/ruff check . && $(STATE)/airflow/bin/ruff format --check .
	@PYTHONPATH=.:plugins $(STATE)/airflow/bin/lint-imports --cache-dir $(STATE)/import-linter >"$(STATE)/lint-imports.log" || { cat "$(STATE)/lint-imports.log"; exit 1; }
	@tail -n 1 "$(STATE)/lint-imports.log"
	@$(MYPY) --cache-dir $(STATE)/mypy/panel --python-executable $(STATE)/airflow/bin/python plugins/mlmd_panel plugins/tfx_plugin.py
	@$(MYPY) --cache-dir $(STATE)/mypy/airflow --python-executable $(STATE)/airflow/bin/python include/tfx_airflow/{contract,airflow_side,node_process,commands} include/tfx_airflow/*.py
	@$(MYPY) --cache-dir $(STATE)/mypy/tfx --python-executable $(STATE)/tfx/bin/python include/tfx_airflow/{contract,tfx_side} include/{components,taxi,wordcount,notebooks}
	@cmp include/tfx_airflow/contract/mlmd_facts.py plugins/mlmd_panel/store/mlmd_facts.py

env: ## print the environment: eval "$(make -s env)" gives any shell this airflow
	@include/env.sh

doctor: setup ## say what is configured, found and missing
	@$(ENV); python -m include.tfx_airflow doctor

lock: ## compile requirements*.in to the locked requirements, and list the jars of tests/cluster/jars
	uv pip compile -q --universal --python-version 3.8 --generate-hashes --no-header include/requirements-uv.in -o include/requirements-uv.txt
	uv pip compile -q --universal --python-version 3.10 --generate-hashes --no-header include/requirements-compiler.in -o include/requirements-compiler.txt
	@# The Beam provider's operator runs Beam in the TFX interpreter; Airflow's own has no use for it.
	uv pip compile -q --universal --python-version 3.10 --generate-hashes --no-header --override <(printf '%s; python_version < "3"\n' apache-beam numpy pyarrow) requirements.in -o requirements.txt
	@# pyfarmhash has wheels from 0.5 on; TensorFlow Data Validation asks for an older one. What the tests need is of one version in all interpreters.
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --override <(echo pyfarmhash==0.5.1) -c <(sed -n 's/^\(packaging==[^ ]*\).*/\1/p' requirements.txt) include/requirements-tfx.in -o include/requirements-tfx.txt
	uv pip compile -q --python-version 3.10 --python-platform x86_64-manylinux_2_28 --generate-hashes --no-header include/requirements-tfx-1.16.in -o include/requirements-tfx-1.16.txt
	@# Object stores: what Airflow has is kept, but for what a driver takes only in an older version.
	for store in s3 gs; do \
	  uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header -c include/requirements-tfx.txt include/requirements-tfx-$$store.in -o include/requirements-tfx-$$store.txt && \
	  uv pip compile -q --python-version 3.10 --python-platform x86_64-manylinux_2_28 --generate-hashes --no-header -c include/requirements-tfx-1.16.txt include/requirements-tfx-$$store.in -o include/requirements-tfx-1.16-$$store.txt && \
	  uv pip compile -q --universal --python-version 3.10 --generate-hashes --no-header -c <(grep -E '^[A-Za-z0-9_.-]+==' requirements.txt | grep -vE '^(fsspec|python-dateutil)==' | sed 's/ *\\$$//') include/requirements-airflow-$$store.in -o include/requirements-airflow-$$store.txt || exit 1; \
	done
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --override <(printf '%s; python_version < "3"\n' apache-beam numpy pyarrow) include/requirements-service.in -o include/requirements-service.txt
	uv pip compile -q --universal --python-version 3.10 --generate-hashes --no-header -c requirements.txt -c include/requirements-tfx.txt -c include/requirements-tfx-1.16.txt tests/requirements.in -o tests/requirements.txt
	uv pip compile -q --universal --python-version 3.10 --generate-hashes --no-header -c requirements.txt -c tests/requirements.txt tests/lint/requirements.in -o tests/lint/requirements.txt
	uv pip compile -q --python-version 3.10 --python-platform x86_64-manylinux_2_28 --generate-hashes --no-header tests/benchmarks/requirements.in -o tests/benchmarks/requirements.txt
	uv pip compile -q --universal --python-version 3.10 --generate-hashes --no-header tests/services/requirements.in -o tests/services/requirements.txt
	uv pip compile -q --universal --python-version 3.10 --generate-hashes --no-header tests/cluster/requirements.in -o tests/cluster/requirements.txt
	@# Jars as sha256sum knows them, each by its path in a Maven repository.
	for engine in flink spark; do \
	  mvn -q -B -f tests/cluster/jars/$$engine.xml org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies -DincludeScope=runtime -Dmdep.useRepositoryLayout=true -DoutputDirectory="$(STATE)/lock/$$engine" && \
	  (cd "$(STATE)/lock/$$engine" && find * -name '*.jar' | LC_ALL=C sort | xargs sha256sum) >tests/cluster/jars/$$engine.txt || exit 1; \
	done; rm -rf "$(STATE)/lock"
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --override <(printf '%s; python_version < "3"\n' apache-beam numpy pyarrow) tests/panel/requirements.in -o tests/panel/requirements.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header -c requirements.txt $$(sed -n 's/^\([A-Za-z0-9_.-]*\)==.*/--no-emit-package \1/p' requirements.txt) tests/openlineage/requirements.in -o tests/openlineage/requirements.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header -c requirements.txt $$(sed -n 's/^\([A-Za-z0-9_.-]*\)==.*/--no-emit-package \1/p' requirements.txt) tests/kubernetes/requirements.in -o tests/kubernetes/requirements.txt

clean: ## remove all state: interpreters, databases, artifacts, caches
	rm -rf "$(STATE)" .pytest_cache .ruff_cache .mypy_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
