# Each target is one line; what it does is in the script that it calls.
.DEFAULT_GOAL := help
.PHONY: help run test test-deps lint check models parity replay coverage fuzz bench bench-quick bench-agree bench-features chaos profile clean-run

help: ## these lines
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

run: ## Gavel in front of a real Triton on this machine; options: STORE=redis://… TRITON=none PORT=… (scripts/run.py)
	@scripts/python.sh scripts/run.py

test: ## everything: formatting, lints, all tests on real servers, contract, container files
	@scripts/test.sh

test-deps: ## installs and fetches what the tests need
	@scripts/test-deps.sh

lint: ## formatting, clippy, dependencies, proto, Python, container files
	@scripts/lint.sh

check: ## validates gavel.toml, decisions, features, rules and the model repository, offline
	@cargo run --quiet --locked --package gateway --bin gavel -- check

models: ## trains, exports, quantises and measures the models (five minutes)
	@models/build.sh

parity: ## features of all 99,992 real payments, online and from history, every value compared (a minute)
	@scripts/fraud_events.sh && PAYMENTS=all cargo test --quiet --locked --package gateway --lib parity -- --nocapture

replay: ## 10,000 decisions on a real Triton, replayed from their log to the bit; options: COUNT=… TRITON=none
	@scripts/python.sh scripts/replay.py

coverage: ## the tests again, with line coverage by crate (builds anew, minutes)
	@scripts/coverage.sh

fuzz: ## a minute of fuzzing for every parser of outside bytes (needs cargo-fuzz)
	@scripts/fuzz.sh

bench: ## Gavel, the bare pipe and direct calls side by side (twenty minutes, on an idle machine)
	@scripts/bench.sh

bench-quick: ## the same in under two minutes
	@scripts/bench.sh --quick

bench-agree: ## our loader beside NVIDIA's perf_analyzer and wrk, on the same servers (five minutes, on an idle machine)
	@scripts/bench-agree.sh

bench-features: ## what features cost: Feast's set-up, packed rows, ingestion, the decision log (eight minutes, on an idle machine)
	@scripts/bench-features.sh

chaos: ## breaks real Tritons, Redis, network, disk and clock under load (five minutes); ONLY=redis for some of it
	@scripts/chaos.sh $(if $(ONLY),--only $(ONLY))

profile: ## where the CPU time of a decision goes, by stage (a minute, needs perf)
	@scripts/python.sh scripts/stages.py

clean-run: ## forgets what `make run` keeps: the embedded store and the logs
	@rm -rf data/features data/decisions .cache/run .cache/replay
