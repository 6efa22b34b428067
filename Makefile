# firewatch: `make run` shows the system with the sample set, `make test` tests
# it. Both do all the set-up they need.

INFLUXD_VERSION  := v1.8.3
GOLANGCI_VERSION := v2.15.0
GOFUMPT_VERSION  := v0.12.0
TELEGRAF_VERSION := v1.37.2
PROMETHEUS_VERSION := v0.312.0

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
DATA    ?= data/demo
HTTP    ?= 127.0.0.1:8080
MQTT    ?= 127.0.0.1:1883

# Tests run the race detector, which needs a C compiler; the program does not.
GOTEST  := CGO_ENABLED=1 go test -race -count=1 -timeout 14m

export GOFLAGS := -buildvcs=false

.PHONY: help run build console test test-go test-console test-deps lint bench chaos fuzz generate clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

run: build bin/influxd ## build everything and start it with the sample set of Baoding
	bin/firewatch up --demo --data $(DATA) --http $(HTTP) --mqtt $(MQTT)

build: console ## bin/firewatch, with the console in it
	@echo "· 编译 firewatch  building bin/firewatch …"
	@mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -ldflags "-X firewatch/cmd/internal/app.version=$(VERSION)" -o bin/firewatch ./cmd/firewatch

bin/influxd: ## the real InfluxDB server, built from its module (about two minutes, once)
	@echo "· 编译 InfluxDB $(INFLUXD_VERSION)（约两分钟，仅一次）  building influxd, once …"
	@mkdir -p bin
	GOBIN=$(CURDIR)/bin GOFLAGS="-mod=mod -buildvcs=false" go install github.com/influxdata/influxdb/cmd/influxd@$(INFLUXD_VERSION)

CONSOLE_SOURCES := $(shell find api/console -path '*/node_modules' -prune -o -path '*/dist' -prune -o -path '*/e2e' -prune -o -type f -print)

console: api/console/dist/index.html ## the web console, built with Node

api/console/node_modules/.package-lock.json: api/console/package-lock.json
	@echo "· 安装前端依赖  installing the console's packages …"
	cd api/console && npm ci --no-fund --no-audit
	@touch $@

api/console/dist/index.html: api/console/node_modules/.package-lock.json $(CONSOLE_SOURCES)
	@echo "· 编译控制台  building the console …"
	cd api/console && npm run build
	@touch $@

test: test-deps test-go test-console ## every test: real brokers, InfluxDB, SQLite, PostgreSQL, browser

test-go: bin/influxd console
	$(GOTEST) ./cmd/internal/app ./... # the longest first: the others run beside it

test-console: build bin/influxd
	cd api/console && npm run check && npm test && npm run e2e
	deploy/browser-test

test-deps: ## what the tests need from Debian, when it is missing
	@deploy/test-deps

bin/golangci-lint:
	GOBIN=$(CURDIR)/bin GOFLAGS="-mod=mod -buildvcs=false" go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)

bin/gofumpt:
	GOBIN=$(CURDIR)/bin GOFLAGS="-mod=mod -buildvcs=false" go install mvdan.cc/gofumpt@$(GOFUMPT_VERSION)

lint: bin/golangci-lint bin/gofumpt ## go vet, golangci-lint, gofumpt
	go vet ./...
	@out=$$(bin/gofumpt -l $$(git ls-files '*.go')); test -z "$$out" || { echo "gofumpt:"; echo "$$out"; exit 1; }
	bin/golangci-lint run

generate: ## everything that is generated; leaves no diff
	cd cmd/internal/sample/gen && npm ci --no-fund --no-audit
	go generate ./...

TELEGRAF_PLUGINS := inputs.mqtt_consumer,outputs.influxdb_v2,outputs.file,parsers.json,parsers.json_v2,parsers.influx,serializers.influx
RUNS ?= 3

bin/telegraf: ## the peer of make bench, built from its module with the plugins that it needs
	@echo "· 编译 Telegraf $(TELEGRAF_VERSION)（约两分钟，仅一次）  building telegraf, once …"
	@mkdir -p bin
	GOBIN=$(CURDIR)/bin GOFLAGS="-mod=mod -buildvcs=false" go install -tags custom,$(TELEGRAF_PLUGINS) github.com/influxdata/telegraf/cmd/telegraf@$(TELEGRAF_VERSION)

# Prometheus cannot be installed by its version alone, because its go.mod replaces
# and excludes modules: it is built from a module of its own that lasts for the build.
bin/prometheus: ## the peer of the engine, without service discovery and without its web pages
	@echo "· 编译 Prometheus $(PROMETHEUS_VERSION)（约三分钟，仅一次）  building prometheus, once …"
	@mkdir -p bin
	@dir=$$(mktemp -d) && cd $$dir && export GOFLAGS="-mod=mod -buildvcs=false" && go mod init peer 2>/dev/null \
		&& go get github.com/prometheus/prometheus/cmd/prometheus@$(PROMETHEUS_VERSION) 2>/dev/null \
		&& go build -trimpath -tags remove_all_sd -o $(CURDIR)/bin/prometheus github.com/prometheus/prometheus/cmd/prometheus; \
		code=$$?; rm -rf $$dir; exit $$code

bench: bin/influxd bin/telegraf bin/prometheus build ## benchmarks, then firewatch beside mosquitto + Telegraf, and its engine beside Prometheus, into bin/bench.md (40 minutes; RUNS=1: fifteen)
	go test -run '^$$' -bench . -benchmem ./firmware-contracts/... ./ingest/... ./alerts/...
	go run ./cmd/internal/bench all -runs $(RUNS) -o bin/bench.md -json bin/bench.jsonl

chaos: bin/influxd ## kill everything for longer: 50 seeds of 200,000 readings (CHAOS_SEEDS, CHAOS_READINGS, CHAOS_OUTAGE=10m)
	CHAOS_SEEDS=$${CHAOS_SEEDS:-50} CHAOS_READINGS=$${CHAOS_READINGS:-200000} go test -count=1 -timeout 6h -v -run TestChaos ./cmd/internal/app

fuzz: ## each fuzz target for a minute, from the corpus that is kept
	@deploy/fuzz 60s

clean: ## what was built; not the data
	rm -rf bin api/console/node_modules cmd/internal/sample/gen/node_modules
	find api/console/dist -mindepth 1 ! -name keep -delete
