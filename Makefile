# demo and test do everything on a fresh Debian 12 with a Rust toolchain: see README.md.

CARGO ?= cargo
VIDEO ?=
COPY ?=
PREFIX ?= /usr/local
PLUGIN_DIR ?= $(DESTDIR)$(shell pkg-config --variable=pluginsdir gstreamer-1.0 2>/dev/null || echo $(PREFIX)/lib/gstreamer-1.0)

SCRIPTS_DIR = $(DESTDIR)$(PREFIX)/share/gst-plugin-heartrate/pipelines
DEBS = $(or $(CARGO_TARGET_DIR),target)/debian/*.deb

.PHONY: all setup setup-tests demo file webcam test test-analytics test-1.26 test-tensorrt test-gpu bench-gpu test-training test-deb \
	bench install deb clean

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

# Where training/.venv is there its ONNX Runtime is tested too.
ORT_DYLIB_PATH ?= $(abspath $(wildcard training/.venv/lib/python3*/site-packages/onnxruntime/capi/libonnxruntime.so.*))
test: export ORT_DYLIB_PATH := $(ORT_DYLIB_PATH)
test: setup-tests
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	G_DEBUG=fatal_warnings $(CARGO) test --locked
	$(MAKE) test-analytics
	$(MAKE) test-tensorrt
	$(MAKE) test-gpu

# The feature v1_24, and the elements that use it, where the system's GStreamer is new enough.
test-analytics: setup
	@if ! pkg-config --atleast-version=1.24 gstreamer-analytics-1.0; then \
		echo "skipped: feature v1_24 needs gstreamer-analytics-1.0, 1.24 or newer (Debian:" \
			"libgstreamer-plugins-bad1.0-dev); make test-1.26 tests it in a Debian 13"; \
	else \
		$(CARGO) clippy --locked --all-targets --features v1_24 -- -D warnings && \
		G_DEBUG=fatal_warnings $(CARGO) test --locked --features v1_24 --lib \
			--test analytics --test facecrop --test metadata --test ppg2bpm --test rates --test upstream; \
	fi

# The same in a Debian 13 (GStreamer 1.26), made for it where the system's GStreamer is older.
test-1.26: setup
	scripts/test-trixie $(TRIXIE)

# TensorRT for RTX builds engines without a GPU. Where its library or headers can't be had this says so.
TENSORRT = $(CURDIR)/target/tensorrt-rtx
test-tensorrt: setup
	@scripts/tensorrt-rtx
	@[ ! -e $(TENSORRT)/done ] || { \
	for headers in include include-11.4; do \
		echo "shim.cpp against $$headers"; \
		$(CXX) -std=c++17 -Wall -Wextra -Werror -fsyntax-only -isystem $(TENSORRT)/$$headers \
			-isystem src/hrnetinfer/tensorrt/cuda src/hrnetinfer/tensorrt/shim.cpp || exit 1; \
	done; \
	export TENSORRT_INCLUDE_DIR=$(TENSORRT)/include HRNET_TENSORRT_LIB=$(TENSORRT)/lib; \
	$(CARGO) clippy --locked --all-targets --features tensorrt -- -D warnings && \
	G_DEBUG=fatal_warnings $(CARGO) test --locked --features tensorrt --lib --test engines --test gpu_runner; }

# What only a GPU can show: with the TensorRT of TENSORRT_INCLUDE_DIR and HRNET_TENSORRT_LIB, else with
# TensorRT for RTX. Says "skipped" where there is no GPU.
WITH_GPU = PATH="$$PATH:/sbin:/usr/sbin" ldconfig -p | grep -q 'libcuda\.so\.1 ' || { echo "skipped: no NVIDIA driver on this machine"; exit 0; }; \
	if [ -z "$$TENSORRT_INCLUDE_DIR" ]; then \
		scripts/tensorrt-rtx; [ -e $(TENSORRT)/done ] || exit 0; \
		export TENSORRT_INCLUDE_DIR=$(TENSORRT)/include HRNET_TENSORRT_LIB=$(TENSORRT)/lib; \
	fi
test-gpu: setup
	@$(WITH_GPU); \
	$(CARGO) test --locked --features tensorrt --test gpu -- --ignored --nocapture --test-threads 1

# hrnet bench beside PyTorch in FP16 with CUDA graphs.
bench-gpu: setup
	@$(WITH_GPU); $(MAKE) training/.venv/done && $(CARGO) build --release --locked --features tensorrt --bin hrnet && \
	training/.venv/bin/python training/bench_gpu.py --hrnet $(or $(CARGO_TARGET_DIR),target)/release/hrnet

# Needs Python 3.11 or newer; PyTorch is installed into training/.venv, some 6 GB,
# 9 while it is installed.
test-training: setup training/.venv/done
	$(CARGO) build --locked --example run_model
	RUN_MODEL=$(abspath $(or $(CARGO_TARGET_DIR),target))/debug/examples/run_model \
		training/.venv/bin/python -m unittest discover -s training/tests

training/.venv/done: training/requirements.txt
	python3 -m venv training/.venv
	training/.venv/bin/pip install --quiet --no-cache-dir --disable-pip-version-check -r training/requirements.txt
	touch $@

bench: setup
	$(CARGO) bench --locked

install: all
	install -D -m 755 target/release/libgstheartrate.so "$(PLUGIN_DIR)/libgstheartrate.so"
	install -D -m 755 target/release/hrnet "$(DESTDIR)$(PREFIX)/bin/hrnet"
	install -d "$(SCRIPTS_DIR)/lib"
	install -m 755 $(filter-out pipelines/lib,$(wildcard pipelines/*)) "$(SCRIPTS_DIR)"
	install -m 644 $(wildcard pipelines/lib/*) "$(SCRIPTS_DIR)/lib"

# Debian packages of the plugin and of hrnet, in target/debian.
deb: setup
	@command -v cargo-deb >/dev/null || { echo "cargo-deb is missing: cargo install --locked cargo-deb" >&2; exit 1; }
	rm -f $(DEBS)
	$(CARGO) deb --locked --multiarch=same
	$(CARGO) deb --locked --variant=tools

# Unpacks the packages and looks for the elements and the command in them.
test-deb: deb
	scripts/test-deb $(DEBS)

clean:
	$(CARGO) clean
