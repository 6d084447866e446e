# demo and test do everything on a fresh Debian 12 with a Rust toolchain: see README.md.

CARGO ?= cargo
VIDEO ?=
COPY ?=
PREFIX ?= /usr/local
PLUGIN_DIR ?= $(DESTDIR)$(shell pkg-config --variable=pluginsdir gstreamer-1.0 2>/dev/null || echo $(PREFIX)/lib/gstreamer-1.0)

DEBS = $(or $(CARGO_TARGET_DIR),target)/debian/*.deb

.PHONY: all setup setup-tests demo file webcam test test-training test-deb bench install deb clean

all: setup
	$(CARGO) build --release --locked

setup:
	@scripts/setup

setup-tests:
	@scripts/setup tests

demo: setup
	$(CARGO) run --release --locked --quiet --example demo -- $(if $(VIDEO),"$(VIDEO)")

# An annotated copy of a video: make file VIDEO=a.mp4 COPY=b.mp4
file: all
	@pipelines/file "$(VIDEO)" $(if $(COPY),"$(COPY)")

webcam: all
	@pipelines/webcam

test: setup-tests
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	G_DEBUG=fatal_warnings $(CARGO) test --locked

# Needs Python 3.11 or newer; PyTorch is installed into training/.venv, some 6 GB.
test-training: setup training/.venv/done
	$(CARGO) build --locked --example run_model
	RUN_MODEL=$(abspath $(or $(CARGO_TARGET_DIR),target))/debug/examples/run_model \
		training/.venv/bin/python -m unittest discover -s training/tests

training/.venv/done: training/requirements.txt
	python3 -m venv training/.venv
	training/.venv/bin/pip install --quiet --disable-pip-version-check -r training/requirements.txt
	touch $@

bench: setup
	$(CARGO) bench --locked

install: all
	install -D -m 755 target/release/libgstheartrate.so "$(PLUGIN_DIR)/libgstheartrate.so"
	install -D -m 755 target/release/hrnet "$(DESTDIR)$(PREFIX)/bin/hrnet"

# Debian packages of the plugin and of hrnet, in target/debian.
deb: setup
	@command -v cargo-deb >/dev/null || { echo "cargo-deb is missing: cargo install --locked cargo-deb" >&2; exit 1; }
	rm -f $(DEBS)
	$(CARGO) deb --locked --multiarch=same
	$(CARGO) deb --locked --variant=tools --no-build

# Unpacks the packages and looks for the elements and the command in them.
test-deb: deb
	scripts/test-deb $(DEBS)

clean:
	$(CARGO) clean
