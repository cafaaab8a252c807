# The commands of this project. Each does all of its own set-up.
SHELL := /bin/sh
PYTHON ?= python3
FOLDER ?= .local
PORT ?= 8080
VENV := .venv
RUN := PYTHONPATH=client NUMBA_CACHE_DIR=$(CURDIR)/.numba $(VENV)/bin/python
LOCAL := $(RUN) -m infra.local --folder $(FOLDER)
MMM := $(RUN) -m mmm --folder $(FOLDER)
QUICK := $(wildcard tests/test_*.py) tests/contracts tests/data tests/web tests/property/test_scripts.py \
  $(addprefix tests/pipeline/test_,attempts.py dead_letters.py one_bad_job.py one_request.py uploads.py)

.DEFAULT_GOAL := help
.PHONY: chaos chaos-real help setup demo up submit cancel retry replay stop test-deps lint quick test machine-code format bench truth functions-archive engine-teeth terraform-teeth terraform-validate audit images deploy-stores deploy-build deploy-scan deploy-plan deploy-apply deploy-smoke deploy-record deploy-rollback cleanup pictures schemas lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /|/' | awk -F'|' '{ printf "  make %-17s %s\n", $$1, $$2 }'

setup: $(VENV)/local.done $(VENV)/bin/mmm ## install what the system needs into .venv

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/local.done: requirements/local.txt | $(VENV)/bin/python
	@echo "Installing pinned dependencies into $(VENV) …"
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/local.txt
	@touch $@

$(VENV)/bin/mmm: | $(VENV)/bin/python
	@printf '%s\n' '#!/bin/sh' 'PYTHONPATH="$(CURDIR)/client:$(CURDIR)" exec "$(abspath $(VENV))/bin/python" -m mmm "$$@"' > $@
	@chmod +x $@

$(VENV)/gcp.done: requirements/gcp.txt $(VENV)/local.done
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/gcp.txt
	@touch $@

$(VENV)/dev.done: requirements/dev.txt $(VENV)/gcp.done
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

demo: setup ## one run of everything, on generated data, with a table of what came of it
	@$(RUN) -m infra.local --folder .demo demo

up: setup ## keep the system running on 127.0.0.1 (PORT=8080, FOLDER=.local, ENGINES=native,robyn)
	@$(LOCAL) up --port $(PORT) $(if $(ENGINES),--engines "$(ENGINES)")

submit: setup ## send a request and follow it: REQUEST=request.yaml, a folder, or a CSV (with BASE=base.yaml)
	@test -n "$(REQUEST)" || { echo "say which: make submit REQUEST=request.yaml"; exit 2; }
	@$(MMM) submit "$(REQUEST)" --watch $(if $(BASE),--base "$(BASE)")

cancel: setup ## stop a job: JOB=<job id>
	@test -n "$(JOB)" || { echo "say which: make cancel JOB=<job id>"; exit 2; }
	@$(MMM) cancel "$(JOB)"

retry: setup ## start a failed or cancelled job again: JOB=<job id>
	@test -n "$(JOB)" || { echo "say which: make retry JOB=<job id>"; exit 2; }
	@$(MMM) retry "$(JOB)"

replay: setup ## send the dead letters again, or one: LETTER=<id>
	@$(MMM) replay $(if $(LETTER),"$(LETTER)")

stop: setup ## stop the system; what was training starts again at the next `make up`
	@$(LOCAL) stop

test-deps: ## install what some tests need beside Python: a browser, Java, R (Debian, as root)
	command -v chromium >/dev/null && command -v java >/dev/null && command -v Rscript >/dev/null || { \
	  apt-get update --quiet --quiet && \
	  DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes --no-install-recommends chromium default-jre-headless \
	    r-base-core r-cran-jsonlite r-cran-testthat; }

lint: $(VENV)/dev.done ## lint and types
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy

quick: lint ## lint, types and the tests that answer within a minute: no compilation, browser, emulator, R
	@$(RUN) -m pytest -q -n auto --maxprocesses 4 --ignore-glob='*browser*' $(QUICK)

test: $(VENV)/dev.done ## lint, types and every test, or only a part: PART=tests/web
	@$(if $(PART),,$(MAKE) --no-print-directory -j2 lint machine-code)
	@$(RUN) -m pytest -n auto --maxprocesses 4 $(PART)

machine-code: $(VENV)/dev.done # of the engine, in .numba: processes that need it at the same time would each compile it
	@$(RUN) -m trainer --check

format: $(VENV)/dev.done ## format the code
	@$(VENV)/bin/ruff check --fix-only --quiet .
	@$(VENV)/bin/ruff format --quiet .

bench: $(VENV)/dev.done ## measure: search, a whole job, a batch, a burst, extract, or one of it: PART=pipeline
	@$(RUN) -m infra.local.bench $(PART)

truth: $(VENV)/dev.done ## how near models come to the truth of generated data: SEEDS=24
	@$(RUN) -m infra.local.truth $(if $(SEEDS),--seeds $(SEEDS))
	@$(RUN) -m infra.local.calibration

chaos: $(VENV)/dev.done ## many schedules of misfortune: N=100000, SEED=1 to repeat a run, FIRST=5000 to go on with it, PROCESSES=2
	@$(RUN) -m tests.property.chaos $(or $(N),10000) $(if $(SEED),--seed $(SEED)) $(if $(FIRST),--first $(FIRST)) $(if $(PROCESSES),--processes $(PROCESSES))

chaos-real: $(VENV)/dev.done ## real processes, killed at random, and a disk that is full once: JOBS=300, SEED=1
	@$(RUN) -m tests.chaos embedded --jobs $(or $(JOBS),300) $(if $(SEED),--seed $(SEED))
	@$(RUN) -m tests.chaos gcp --jobs 30 $(if $(SEED),--seed $(SEED))

engine-teeth: $(VENV)/dev.done ## mistakes put into the engine's files and answers, each of which must be noticed
	@ENGINE_TEETH=1 $(RUN) -m pytest -q tests/engine/test_teeth.py

terraform-teeth: $(VENV)/dev.done ## mistakes put into the Terraform code, each of which must be caught
	@TERRAFORM_TEETH=1 $(RUN) -m pytest -q tests/terraform/test_teeth.py

pictures: $(VENV)/dev.done ## make the pictures of docs/page.md again (needs a browser: make test-deps)
	@$(RUN) -m infra.local.docs_pictures

schemas: $(VENV)/dev.done ## write again what is generated from the code: JSON Schemas, .env.example, parts of the docs
	@$(RUN) -m infra.generate

terraform-validate: ## check the Terraform code against Google's own provider (needs terraform and a network)
	terraform fmt -check -recursive -diff infra/terraform
	for module in infra/terraform infra/terraform/bootstrap; do \
	  terraform -chdir=$$module init -input=false -backend=false && terraform -chdir=$$module validate || exit 1; done

audit: $(VENV)/bin/python ## known vulnerabilities of everything that is pinned (needs a network)
	$(PYTHON) -m venv .build/audit
	.build/audit/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/audit.txt
	for name in local gcp functions trainer robyn dev; do .build/audit/bin/pip-audit --disable-pip --require-hashes -r requirements/$$name.txt || exit 1; done

images: ## build every image, without pushing any (needs Docker)
	docker build -q -f docker/web.Dockerfile -t web .
	docker build -q -f docker/trainer-native.Dockerfile -t trainer-native .
	docker build -q -f docker/trainer-base.Dockerfile -t trainer-base .
	docker build -q -f docker/trainer.Dockerfile -t trainer .

# The steps of a deployment (docs/deploy.md): ENVIRONMENT=dev PROJECT=…; OUTPUT and SUMMARY are files of a pipeline.
OUTPUT ?= /dev/stderr
SUMMARY ?= /dev/stderr
REVISION = $(shell git rev-parse HEAD)
deploy-stores: setup ## before a first deployment, or a new connection: the registry, the bucket of code, secrets
	terraform -chdir=infra/terraform init -input=false -backend-config=bucket=$(PROJECT)-mmm-state
	terraform -chdir=infra/terraform apply -var-file=envs/$(ENVIRONMENT).tfvars -var-file=stores.tfvars.json -var=project=$(PROJECT) \
	  -target=google_artifact_registry_repository.images -target=google_storage_bucket.code \
	  -target=google_secret_manager_secret.this

deploy-build: setup ## build and push images and archive
	@$(RUN) -m infra.deploy build --project "$(PROJECT)" --environment "$(ENVIRONMENT)" --revision $(REVISION) >> "$(OUTPUT)"

deploy-scan: setup ## refuse images with critical vulnerabilities that have a fix: RELEASE is their JSON
	@$(RUN) -m infra.deploy scan --given "$$RELEASE"

deploy-plan: setup ## plan, and refuse to lose data: RELEASE is its JSON, EXPECT the digest of a plan that was seen
	@$(RUN) -m infra.deploy plan --environment "$(ENVIRONMENT)" --given "$$RELEASE" --expect "$$EXPECT" $(OPTIONS) >> "$(OUTPUT)"
	@cat .build/plan.txt >> "$(SUMMARY)"

deploy-apply: setup ## do what the plan says
	@$(RUN) -m infra.deploy apply

deploy-smoke: $(VENV)/gcp.done ## one tiny request through the deployed system
	@$(RUN) -m infra.ops smoke --project "$(PROJECT)"

deploy-record: setup ## remember the release as one that works
	@$(RUN) -m infra.deploy record --revision $(REVISION)

deploy-rollback: setup ## deploy the last release that worked: TO=gs://…/deployed.json for another
	@$(RUN) -m infra.deploy rollback --project "$(PROJECT)" --environment "$(ENVIRONMENT)" $(if $(TO),--to "$(TO)")

cleanup: $(VENV)/gcp.done ## what may go of a deployment; DELETE=--delete lets it
	@$(RUN) -m infra.ops clean --project "$(PROJECT)" $(DELETE)

functions-archive: setup ## make .build/functions.zip, what the functions are deployed from
	@$(RUN) -m infra.archive .build/functions.zip

lock: ## pin the dependencies again (needs uv)
	for name in local gcp dev functions trainer robyn fakesnow terraform terraform-lint audit; do uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header requirements/$$name.in -o requirements/$$name.txt || exit 1; done
	uv pip compile --quiet --universal --no-deps --python-version 3.11 --generate-hashes --no-emit-index-url --no-header requirements/terraform-schema.in -o requirements/terraform-schema.txt

clean: ## remove what make has made, but not FOLDER
	rm -rf $(VENV) .test-env .build .demo .bench .numba .mypy_cache .pytest_cache .ruff_cache
