# ngx_http_s3_abort_module: build, try, test.

SHELL = /bin/bash
CC = gcc
PROVE = PATH=$(BUILD):$$PATH prove -j$(JOBS) --timer
JOBS = $(shell nproc)
SECONDS = 600

TOP := $(CURDIR)
BUILD := $(TOP)/build
MODULE := $(BUILD)/ngx_http_s3_abort_module.so
SOURCES := $(wildcard src/*.c src/*.h) config

WARNINGS := -Wall -Wextra -Werror -Wno-unused-parameter
PURE := $(wildcard src/s3_*.c)
PURE_FLAGS := -std=c99 -D_GNU_SOURCE -g -Wall -Wextra -Werror -Isrc
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all

UNITS := $(patsubst t/unit/%.c,$(BUILD)/unit/%,\
	$(subst t/unit/test_,t/unit/,$(wildcard t/unit/*.c)))
FUZZERS := $(patsubst t/fuzz/fuzz_%.c,$(BUILD)/fuzz/%,$(wildcard t/fuzz/fuzz_*.c))

PACKAGE := $(BUILD)/package/built
PACKAGE_SOURCES := $(SOURCES) $(wildcard debian/* debian/source/* docs/*.md \
	*.md LICENSE) examples/gateway.conf examples/hardening.conf tools/man

.PHONY: all help run test check unit fuzz asan soak package bench \
	bench-instructions clean install-run install-test install-package \
	install-bench

all: $(MODULE)          ## build the dynamic module for the installed nginx

help:                   ## print this
	@grep -E '^[a-z-]+: .*##' Makefile | sed 's/:.*##/\t/' | expand -t 24

run: install-run        ## see it work: a real storage, a tenant, three aborts
	@$(MAKE) --no-print-directory all
	@examples/run

test: install-test      ## run every test
	@$(MAKE) --no-print-directory check

check: $(MODULE) unit fuzz $(BUILD)/soak/load $(BUILD)/clang/ngx_http_s3_abort_module.so asan \
		$(BUILD)/promtool $(PACKAGE) $(BUILD)/debian.tar
	t/clients/install
	$(PROVE) t
	TEST_NGINX_BINARY=$(BUILD)/asan/nginx TEST_NGINX_MODULE= \
		$(PROVE) t/abort_*.t

unit: $(UNITS)          ## build the unit tests of the pure C

fuzz: $(FUZZERS)        ## build the fuzz targets of the pure C

asan: $(BUILD)/asan/nginx  ## build a sanitized nginx with the module in it

soak: install-test $(MODULE) $(BUILD)/soak/load  ## everything at once, for SECONDS
	SOAK_SECONDS=$(SECONDS) perl t/soak.t

package: install-package  ## build the Debian package
	@$(MAKE) --no-print-directory $(PACKAGE)

bench: install-bench $(MODULE)  ## compare with proxy_pass and others
	t/bench/run

bench-instructions: install-bench $(MODULE)  ## count instructions per request
	t/bench/instructions

clean:                  ## remove what was built
	rm -rf build

install-run:
	@tools/install run

install-test:
	@tools/install test

install-package:
	@tools/install package

install-bench:
	@tools/install bench


$(BUILD)/soak/load: t/soak/load.c
	@mkdir -p $(dir $@)
	$(CC) -O2 -Wall -Wextra -Werror -o $@ $<


# nginx's own build, with the sources of Debian's nginx-dev, which is only
# read; gcc and clang build into folders of their own

$(BUILD)/%.so: $(SOURCES)
	@tools/build-module $(dir $@) "$(CC)" "$(WARNINGS)"

$(BUILD)/clang/%.so: $(SOURCES)
	@tools/build-module $(dir $@) clang "$(WARNINGS)"

$(BUILD)/asan/nginx: $(SOURCES) tools/build-nginx
	@tools/build-nginx $(BUILD)/asan $(BUILD)/nginx-src \
		"-O1 -fno-omit-frame-pointer -DNGX_DEBUG_PALLOC=1 \
		-fsanitize=address,undefined" "-fsanitize=address,undefined"


$(PACKAGE): $(PACKAGE_SOURCES) tools/build-package
	@tools/build-package $(dir $@)
	@touch $@


define unit
@mkdir -p $(dir $@)
clang $(PURE_FLAGS) -O1 $(SANITIZE) -It/unit $< $(PURE) -o $@ \
	-lcrypto -lpcre2-8
endef

# out of its package, which would start a server if it were installed

$(BUILD)/promtool:
	@mkdir -p $(BUILD)/promtool.d
	cd $(BUILD)/promtool.d && apt-get -qq download prometheus \
		&& dpkg-deb -x prometheus_*.deb . && mv usr/bin/promtool ../
	@rm -rf $(BUILD)/promtool.d


# what the package is installed in, for tests

$(BUILD)/debian.tar:
	@t/package/debian $@


$(BUILD)/unit/%: t/unit/test_%.c $(PURE) $(wildcard src/s3_*.h t/unit/*.h)
	$(unit)

$(BUILD)/unit/%: t/unit/%.c $(PURE) $(wildcard src/s3_*.h t/unit/*.h)
	$(unit)

$(BUILD)/fuzz/%: t/fuzz/fuzz_%.c $(PURE) $(wildcard src/s3_*.h t/fuzz/*.h)
	@mkdir -p $(dir $@)
	clang $(PURE_FLAGS) -O1 -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=all -It/fuzz $< $(PURE) -o $@ \
		-lcrypto -lpcre2-8
