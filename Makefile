# Every target does its own set-up; Go is all it needs. Tools run at pinned
# versions through `go run`.
GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GORELEASER    := github.com/goreleaser/goreleaser/v2@v2.15.1

# Tests run what is released: no cgo anywhere but in `race`.
export CGO_ENABLED := 0

FUZZTIME  := 1m
PLATFORMS := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64

.PHONY: all
all: build test lint docs

# The version comes from build information: no linker flags.
.PHONY: build
build:
	go build -trimpath -o bin/mtlsctl ./cmd/mtlsctl

# Unit tests, test scripts, and end-to-end tests with the outside programs that
# are installed. With CI=true a missing one is a failure.
.PHONY: test
test:
	@while read -r program package; do \
		PATH=$$PATH:/usr/sbin:/sbin command -v $$program >/dev/null || \
			echo "skipped: the tests that need $$program (Debian's package $$package)"; \
	done <.ci/programs
	go test -timeout 15m ./...

# The tests that kill and crowd, in full: a kill at each write of each command, and
# some thousand processes in one PKI directory.
.PHONY: stress
stress:
	MTLSCTL_STRESS=1 go test -timeout 30m -count 1 -v -run '^(TestKilledAtEachWrite|TestKilled|TestFullDisk|TestCrowd)$$' ./cmd

# The race detector needs cgo, so a C compiler.
.PHONY: race
race:
	CGO_ENABLED=1 go test -race -timeout 15m ./...

.PHONY: lint
lint:
	go run $(GOLANGCI_LINT) run ./...
	go test ./internal/arrows

# A CA, two leaves, three exports and a handshake, shown as they happen.
.PHONY: demo
demo: build
	go run ./internal/demo bin/mtlsctl

# Against the other tools on PATH. Fails if one of them is faster.
.PHONY: bench
bench: build
	go run ./internal/bench bin/mtlsctl

# Each fuzz target in turn.
.PHONY: fuzz
fuzz:
	@found=$$(go test -list '^Fuzz' ./...) || { echo "$$found"; exit 1; }; \
	targets=$$(echo "$$found" | awk '/^Fuzz/ { name[++n] = $$1 } /^ok/ { while (n) print $$2, name[n--] }'); \
	test -n "$$targets" || { echo 'no fuzz targets found' >&2; exit 1; }; \
	echo "$$targets" | while read -r pkg name; do \
		echo "$$pkg $$name"; \
		go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x "$$pkg" || exit 1; \
	done

# Rewrites the generated documentation and the golden files.
.PHONY: docs
docs:
	go test ./cmd -run 'TestGeneratedPages|TestShowOutput' -update
	go test ./export -update

# Vet compiles the tests, too, which cannot run here.
.PHONY: cross
cross:
	@for platform in $(PLATFORMS); do \
		export GOOS=$${platform%/*} GOARCH=$${platform#*/}; \
		case $$GOOS in windows) ext=.exe;; *) ext=;; esac; \
		echo "$$platform"; \
		go build -trimpath -o "bin/$$GOOS-$$GOARCH/mtlsctl$$ext" ./cmd/mtlsctl || exit 1; \
	done
	GOOS=windows go vet ./...
	GOOS=darwin go vet ./...

.PHONY: release-check
release-check:
	go run $(GORELEASER) check

# What the archives and packages hold besides the binary; .goreleaser.yaml calls it.
.PHONY: release-files
release-files: build
	rm -rf bin/completions bin/man
	mkdir -p bin/completions bin/man
	bin/mtlsctl completion bash >bin/completions/mtlsctl.bash
	bin/mtlsctl completion zsh >bin/completions/_mtlsctl
	bin/mtlsctl completion fish >bin/completions/mtlsctl.fish
	bin/mtlsctl completion powershell >bin/completions/mtlsctl.ps1
	bin/mtlsctl man bin/man

.PHONY: clean
clean:
	rm -rf bin dist
