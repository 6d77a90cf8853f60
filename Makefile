# Variables, taken from the command line of make and not from the environment; README.md says what
# each does. A target's line of help names those that it uses, and .ci/variables holds them to it.
PORT     :=
CASES    :=
REQUIRE  :=
RESULTS  :=
JUNIT    :=
SEED     :=
SHARD    :=
TIMING   :=
RESUME   :=
VERBOSE  :=
RUN      :=
NAME     :=
KIND     :=
WORKLOAD :=
FILES    :=
BENCH    :=
PYTHONS  :=
REPORT   :=
SECONDS  := 60

PYTHON   ?= python3
BIN      := .venv/bin

# An option for a variable that has a value. make exports the variables of its command line, so the
# shell expands them, and quotes or spaces in a value do no harm.
option = $(if $($1),$2 "$$$1")

# Stop if a variable is misspelt, or if the target does not use it.
GIVEN := $(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(name)$(if $($(name)),,=)))
ifneq ($(shell $(PYTHON) -IS .ci/variables "$(MAKECMDGOALS)" $(GIVEN) || echo $$?),)
$(error nothing was done)
endif
ifneq ($(filter-out none,$(TIMING)),)
$(error TIMING=$(TIMING) means nothing: TIMING=none judges and times nothing, and without it what passes is timed)
endif

.DEFAULT_GOAL := help
.PHONY: help conformance ask report merge bench new-port test lint teeth fuzz mutation golden golden-check ports lock format versions clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 16

conformance: .venv/installed ## judge the ports, then time those that pass; PORT= CASES= REQUIRE= RESULTS= JUNIT= SEED= SHARD= RESUME= TIMING=none VERBOSE=
	@$(BIN)/python -m conformance check $(call option,PORT) $(call option,CASES,--cases) \
	    $(call option,REQUIRE,--require) $(call option,RESULTS,--results) $(call option,JUNIT,--junit) \
	    $(call option,SEED,--seed) $(call option,SHARD,--shard) $(if $(filter-out 0,$(RESUME)),--resume) \
	    $(if $(TIMING),--no-timing) $(if $(filter-out 0,$(VERBOSE)),--verbose)

ask: .venv/installed ## print what a port is asked, or start it with that; CASES= RUN=1; needs PORT=mine
	@$(BIN)/python -m conformance ask $(call option,PORT) $(call option,CASES,--cases) \
	    $(if $(filter-out 0,$(RUN)),--run)

report: .venv/installed ## the results as a page to look at, a summary and badges; RESULTS= BENCH= REPORT=
	@$(BIN)/python -m conformance report $(call option,RESULTS) $(call option,BENCH,--bench) \
	    $(call option,REPORT,--folder)

merge: .venv/installed ## join results files of several machines into one table; FILES= RESULTS=
	@$(BIN)/python -m conformance merge $(call option,FILES) $(call option,RESULTS,--json)

new-port: .venv/installed ## a folder to begin a port with; needs NAME=zig KIND=c-abi|python|process
	@$(BIN)/python -m conformance new-port "$(if $(findstring /,$(NAME)),,ports/)$$NAME" "$$KIND"

bench: .venv/installed ## time ports on networks of three sizes, as far as they are right; PORT= WORKLOAD= RESULTS=
	@$(BIN)/python -m conformance bench $(call option,PORT) $(call option,WORKLOAD,--workload) \
	    $(call option,RESULTS,--results)

test: lint ## the project's own tests, after lint
	$(BIN)/python -m pytest -q -n auto --dist loadgroup --ignore=conformance/selftest/tests/reference/test_autodiff.py
	@# Alone, since JAX has threads, and other tests fork. Without JAX, nothing is run: status 5.
	$(BIN)/python -m pytest -q -n auto conformance/selftest/tests/reference/test_autodiff.py || [ $$? -eq 5 ]

lint: .venv/installed ## lint, types and formats of all sources
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run --Werror $$(git ls-files '*.c' '*.h' '*.cpp' '*.hpp' '*.cu' '*.cuh')
	@# Formatters that come with a toolchain, where it is here.
	@! command -v gofmt >/dev/null || { said=$$(gofmt -d $$(git ls-files '*.go')); [ -z "$$said" ] || { echo "$$said"; false; }; }

teeth: .venv/installed ## measure that every known bug is caught and no correct variant is
	@$(BIN)/python -m conformance teeth

fuzz: ## fuzz native ports with valid and invalid requests; PORT= (default c general cpp; also cuda d fortran rust simd tiled) SECONDS= for each
	@set -e; for port in $(or $(PORT),c general cpp); do \
	    PYTHON="$(PYTHON)" sh conformance/selftest/fuzz/fuzz.sh "$$port" "$(SECONDS)" build/fuzz; done

mutation: .venv/installed ## measure that no line of two ports can be changed unseen; takes an hour or more
	@$(BIN)/python -m conformance.selftest.mutation

golden: .venv/installed ## derive golden files again and write them: all, or those of CASES=
	@$(BIN)/python -m reference golden $(call option,CASES)

golden-check: .venv/installed ## derive golden files again and demand the same values; CASES=
	@$(BIN)/python -m reference golden --check $(call option,CASES)

ports: .venv/installed ## what is here, what is missing, and the command that installs it; PORT=
	@$(BIN)/python -m conformance ports $(call option,PORT)

format: .venv/installed ## format all sources
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/clang-format -i $$(git ls-files '*.c' '*.h' '*.cpp' '*.hpp' '*.cu' '*.cuh')

lock: .venv/installed ## resolve pyproject.toml again into requirements.lock
	@$(PYTHON) -m venv build/uv && build/uv/bin/pip install --quiet uv
	@build/uv/bin/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
	    --generate-hashes --quiet --custom-compile-command "make lock" -o requirements.lock

versions: .venv/installed ## judge with the oldest and newest allowed packages, on each Python that is here, or PYTHONS=
	@$(PYTHON) -m venv build/uv && build/uv/bin/pip install --quiet uv
	@.ci/versions

clean: ## delete what was built, and the virtual environment
	rm -rf build .venv

.venv/installed: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo "error: $(PYTHON) is older than 3.11; name another with PYTHON=" >&2; exit 2; }
	@echo "making .venv from requirements.lock (once, about a minute)"
	@$(PYTHON) -m venv .venv || { echo "error: $(PYTHON) cannot make a virtual environment:" \
	    "apt-get install python3-venv" >&2; exit 2; }
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@
