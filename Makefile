# Variables, taken from the command line of make and not from the environment; conformance/README.md
# says what each does. A target's line of help names those that it uses, and .ci/variables holds them to it.
PORT     :=
CASES    :=
REQUIRE  :=
RESULTS  :=
JUNIT    :=
SEED     :=
FRESH    :=
SHARD    :=
TIMING   :=
RESUME   :=
STRICT   :=
VERBOSE  :=
RUN      :=
NAME     :=
KIND     :=
WORKLOAD :=
FILES    :=
BENCH    :=
PYTHONS  :=
REPORT   :=
BUNDLE   :=
UPDATE   :=
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
.PHONY: help conformance ask report merge bench new-port test lint teeth sweep sweep-check fuzz mutation golden golden-check ports lock format versions clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 16

conformance: .venv/installed ## judge the ports, then time those that pass; PORT= CASES= REQUIRE= RESULTS= JUNIT= SEED= FRESH= SHARD= RESUME= STRICT= TIMING=none VERBOSE= BUNDLE=
	@$(BIN)/python -m conformance check $(call option,PORT) $(call option,CASES,--cases) \
	    $(call option,REQUIRE,--require) $(call option,RESULTS,--results) $(call option,JUNIT,--junit) \
	    $(call option,SEED,--seed) $(call option,FRESH,--fresh) $(call option,SHARD,--shard) \
	    $(if $(filter-out 0,$(RESUME)),--resume) $(if $(TIMING),--no-timing) $(if $(filter-out 0,$(VERBOSE)),--verbose) \
	    $(if $(filter-out 0,$(STRICT)),--strict) $(call option,BUNDLE,--bundle)

ask: .venv/installed ## print the requests of some cases; RUN=1 sends them to the port and prints its answers; CASES= RUN=1; needs PORT=mine
	@$(BIN)/python -m conformance ask $(call option,PORT) $(call option,CASES,--cases) \
	    $(if $(filter-out 0,$(RUN)),--run)

report: .venv/reported ## the results as a page to look at, a summary and badges; RESULTS= BENCH= REPORT=
	@$(BIN)/python -m conformance report $(call option,RESULTS) $(call option,BENCH,--bench) \
	    $(call option,REPORT,--folder)

merge: .venv/installed ## join results files of several machines into one table; FILES= RESULTS=
	@$(BIN)/python -m conformance merge $(call option,FILES) $(call option,RESULTS,--json)

new-port: .venv/installed ## a folder to begin a port with; needs NAME=zig KIND=c-abi|python|process
	@$(BIN)/python -m conformance new-port "$(if $(findstring /,$(NAME)),,ports/)$$NAME" "$$KIND"

bench: .venv/reported ## time ports on networks of three sizes, as far as they are right; PORT= WORKLOAD= RESULTS=
	@$(BIN)/python -m conformance bench $(call option,PORT) $(call option,WORKLOAD,--workload) \
	    $(call option,RESULTS,--results)

# Each of these runs as many processes as there are cores. Threads of NumPy's products besides would
# wait for one another, at full speed.
test teeth sweep golden-check: export OPENBLAS_NUM_THREADS ?= 1

# Many tests wait: for a silence, an interrupt, a browser. So one more runs on every two cores.
test: export PYTEST_XDIST_AUTO_NUM_WORKERS ?= $(shell echo $$(($$(nproc) * 3 / 2)))

test: lint ## the project's own tests, after lint
	$(BIN)/python -m pytest -q -n auto --dist loadgroup --ignore=conformance/selftest/tests/reference/test_autodiff.py
	@# Alone, since JAX has threads, and other tests fork. Without JAX, nothing is run: the file says so,
	@# with status 5, and fails where CI=true.
	$(BIN)/python -m pytest -q -rs conformance/selftest/tests/reference/test_autodiff.py || [ $$? -eq 5 ]

lint: .venv/tested ## lint, types and formats of all sources
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run --Werror $$(git ls-files '*.c' '*.h' '*.cpp' '*.hpp' '*.cu' '*.cuh')
	@# Formatters that come with a toolchain, where it is installed.
	@! command -v gofmt >/dev/null || { said=$$(gofmt -d $$(git ls-files '*.go')); [ -z "$$said" ] || { echo "$$said"; false; }; }

teeth: .venv/installed ## measure that every known bug is caught and no correct variant is; UPDATE=
	@$(BIN)/python -m conformance teeth $(if $(filter-out 0,$(UPDATE)),--update)

sweep: .venv/tested ## run long tests, and stamp those that pass; NAME= (default all)
	@$(BIN)/python -m conformance.selftest.sweeps run $(if $(NAME),"$$NAME")

sweep-check: .venv/installed ## demand that no input of a long test has changed since it passed
	@$(BIN)/python -m conformance.selftest.sweeps check

fuzz: ## fuzz native ports with valid and invalid requests; PORT= (default cpp c general; also cuda d fortran rust simd tiled) SECONDS= for each
	@# Two at a time, since a fuzzer has one thread; C++ takes longest to compile.
	@printf '%s\n' $(or $(PORT),cpp c general) | PYTHON="$(PYTHON)" xargs -P2 -I@ \
	    sh conformance/selftest/fuzz/fuzz.sh @ "$(SECONDS)" build/fuzz

mutation: .venv/tested ## measure that no line of two ports and of the harness can be changed unseen; takes hours
	@$(BIN)/python -m conformance.selftest.mutation

golden: .venv/installed ## derive golden files again and write them: all, or those of CASES=
	@$(BIN)/python -m reference golden $(call option,CASES)

golden-check: .venv/installed ## derive golden files again and demand the same values; CASES=
	@$(BIN)/python -m reference golden --check $(call option,CASES)

ports: .venv/installed ## which toolchains are installed, which are missing, and the command that installs them; PORT=
	@$(BIN)/python -m conformance ports $(call option,PORT)

format: .venv/tested ## format all sources
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/clang-format -i $$(git ls-files '*.c' '*.h' '*.cpp' '*.hpp' '*.cu' '*.cuh')

lock: .venv/installed ## resolve pyproject.toml again into the lock files
	@$(BIN)/python .ci/lock

versions: .venv/installed ## judge with the oldest and newest allowed packages, on each Python that is installed, or PYTHONS=
	@.ci/versions

clean: ## delete what was built, and the virtual environment
	rm -rf build .venv

# What is installed: for a run; also for a page or a plot; also for the tests.
.venv/installed: requirements.lock
.venv/reported: requirements-report.lock .venv/installed
.venv/tested: requirements-test.lock .venv/reported
.venv/installed .venv/reported .venv/tested:
	@$(PYTHON) .ci/environment $@ $<
