# demo and test do everything on a fresh Debian 12 with a Rust toolchain: see README.md.

CARGO ?= cargo
VIDEO ?=
PREFIX ?= /usr/local
PLUGIN_DIR ?= $(DESTDIR)$(shell pkg-config --variable=pluginsdir gstreamer-1.0 2>/dev/null || echo $(PREFIX)/lib/gstreamer-1.0)

.PHONY: all setup demo test bench install clean

all: setup
	$(CARGO) build --release --locked

setup:
	@scripts/setup

demo: setup
	$(CARGO) run --release --locked --quiet --example demo -- $(if $(VIDEO),"$(VIDEO)")

test: setup
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	G_DEBUG=fatal_warnings $(CARGO) test --locked

bench: setup
	$(CARGO) bench --locked

install: all
	install -D -m 755 target/release/libgstheartrate.so "$(PLUGIN_DIR)/libgstheartrate.so"
	install -D -m 755 target/release/hrnet "$(DESTDIR)$(PREFIX)/bin/hrnet"

clean:
	$(CARGO) clean
