# ngx_http_s3_abort_module: build, try, test.

SHELL = /bin/bash
CC = gcc
PROVE = PATH=$(BUILD):$$PATH prove -j$(JOBS) --timer
JOBS = $(shell nproc)
SECONDS = 3600

TOP := $(CURDIR)
BUILD := $(TOP)/build
MODULE := $(BUILD)/ngx_http_s3_abort_module.so
SOURCES := $(wildcard src/*.c src/*.h) config

WARNINGS := -Wall -Wextra -Werror -Wno-unused-parameter
PURE := $(wildcard src/s3_*.c)
PURE_HEADERS := $(wildcard src/s3_*.h)
CLANG := clang -D_GNU_SOURCE -g -Wall -Wextra -Werror -O1 -I$(TOP)/src \
	-fno-sanitize-recover=all

# nginx's features that the module does without
FLAGS_none :=
FLAGS_ssl := --with-http_ssl_module
FLAGS_v2 := --with-http_v2_module --with-debug --without-http-cache
OBJECTS := $(patsubst %,$(BUILD)/flags/%/done,none ssl v2)

UNITS := $(patsubst t/unit/%.c,$(BUILD)/unit/%,\
	$(subst t/unit/test_,t/unit/,$(wildcard t/unit/*.c)))

# the longest ones first

TORTURE := t/abort_torture.t t/abort_torture_start.t
SANITIZED := $(TORTURE) $(filter-out $(TORTURE),$(wildcard t/abort_*.t)) \
	t/clients.t t/monitoring.t t/rgw_*.t t/soak.t
VALGRIND := $(patsubst %,t/abort_%.t,fears operation path sigv4 policy target)
FUZZ := $(CLANG) -Wno-unused-parameter -fsanitize=fuzzer,address,undefined \
	-It/fuzz
FUZZERS := $(patsubst t/fuzz/fuzz_%.c,$(BUILD)/fuzz/%,$(wildcard t/fuzz/fuzz_*.c))

PACKAGE := $(BUILD)/package/built
PACKAGE_SOURCES := $(SOURCES) $(wildcard debian/* debian/source/* docs/*.md \
	*.md LICENSE monitoring/*) $(patsubst %,examples/%,gateway.conf \
	hardening.conf kubernetes.yaml) tools/man

.PHONY: all help run test test-parts check unit fuzz fuzz-long asan valgrind soak \
	package bench bench-instructions clean install-run install-test install-package \
	install-bench

all: $(MODULE)          ## build the dynamic module for the installed nginx

help:                   ## print this
	@grep -E '^[a-z-]+: .*##' Makefile | sed 's/:.*##/\t/' | expand -t 24

run: install-run        ## see it work: a real storage, a tenant, three aborts
	@$(MAKE) --no-print-directory all
	@examples/run

test: install-test      ## run every test
	@$(MAKE) --no-print-directory -j$(JOBS) test-parts
	@$(MAKE) --no-print-directory check

test-parts: $(MODULE) unit fuzz $(BUILD)/clang/ngx_http_s3_abort_module.so \
	asan $(OBJECTS) $(BUILD)/soak/load $(BUILD)/promtool $(PACKAGE) \
	$(BUILD)/debian.tar

check: test-parts
	t/clients/install
	$(PROVE) t
	TEST_NGINX_BINARY=$(BUILD)/asan/nginx TEST_NGINX_MODULE= \
		TEST_NGINX_TIMEOUT=900 PATH=$(BUILD):$$PATH \
		t/coverage $(BUILD)/asan/objs prove -j$(JOBS) --timer $(SANITIZED)
	t/bench/instructions
	@$(MAKE) --no-print-directory valgrind

unit: $(UNITS)          ## build the unit tests of the pure C

fuzz: $(FUZZERS)        ## build the fuzz targets

fuzz-long: fuzz         ## fuzz for SECONDS= of processor time, each of TARGETS=
	t/fuzz/long $(SECONDS) $(TARGETS)

asan: $(BUILD)/asan/nginx  ## build a sanitized nginx with the module in it

soak: SECONDS = 600
soak: install-test $(MODULE) $(BUILD)/soak/load  ## everything at once, for SECONDS
	SOAK_SECONDS=$(SECONDS) perl t/soak.t

package: install-package  ## build the Debian package
	@$(MAKE) --no-print-directory $(PACKAGE)

valgrind: $(MODULE)     ## run a part of the tests under Valgrind
	TEST_NGINX_BINARY=t/valgrind/nginx TEST_NGINX_TIMEOUT=900 \
		$(PROVE) $(VALGRIND)

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
# read; each compiler and set of flags builds into a folder of its own

$(BUILD)/%.so: $(SOURCES)
	@tools/build-module $(dir $@) "$(CC)" "$(WARNINGS)"

$(BUILD)/clang/%.so: $(SOURCES)
	@tools/build-module $(dir $@) clang "$(WARNINGS)"

$(BUILD)/flags/%/done: $(SOURCES) tools/build-objects
	@tools/build-objects $(BUILD)/flags/$* "$(WARNINGS)" $(FLAGS_$*)

$(BUILD)/asan/nginx: $(SOURCES) tools/build-nginx
	@tools/build-nginx $(BUILD)/asan $(BUILD)/nginx-src \
		"-O1 -fno-omit-frame-pointer -DNGX_DEBUG_PALLOC=1 --coverage \
		-fsanitize=address,undefined" \
		"--coverage -fsanitize=address,undefined"


$(PACKAGE): $(PACKAGE_SOURCES) tools/build-package
	@tools/build-package $(dir $@)
	@touch $@


# the pure C, once for all that is made of it

define archive
@rm -rf $@.d && mkdir -p $@.d
@cd $@.d && $(CLANG) -std=c99 $(1) -c $(abspath $(PURE)) && ar rcs $@ *.o
endef

define unit
@$(CLANG) -std=c99 -fsanitize=address,undefined -It/unit $< \
	$(BUILD)/unit/libs3.a -o $@ -lcrypto -lpcre2-8
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


$(BUILD)/unit/libs3.a: $(PURE) $(PURE_HEADERS)
	$(call archive,-fsanitize=address -fsanitize=undefined)

$(BUILD)/fuzz/libs3.a: $(PURE) $(PURE_HEADERS)
	$(call archive,-fsanitize=fuzzer-no-link -fsanitize=address \
		-fsanitize=undefined)

$(BUILD)/unit/%: t/unit/test_%.c $(BUILD)/unit/libs3.a $(wildcard t/unit/*.h)
	$(unit)

$(BUILD)/unit/%: t/unit/%.c $(BUILD)/unit/libs3.a $(wildcard t/unit/*.h)
	$(unit)

$(BUILD)/fuzz/%: t/fuzz/fuzz_%.c $(BUILD)/fuzz/libs3.a $(wildcard t/fuzz/*.h)
	@$(FUZZ) -std=c99 $< $(BUILD)/fuzz/libs3.a -o $@ -lcrypto -lpcre2-8

$(BUILD)/fuzz/nginx: t/fuzz/fuzz_nginx.c $(wildcard t/fuzz/*.h) \
		t/fuzz/nginx.conf $(BUILD)/fuzz/nginx.d/nginx
	@$(FUZZ) -DFUZZ_CONF='"$(TOP)/t/fuzz/nginx.conf"' -I$@.d/objs \
		$(patsubst %,-I$(BUILD)/nginx-src/src/%,core event \
			event/modules os/unix) \
		$< $$(find $@.d/objs -name '*.o') -o $@ \
		-lpthread -lcrypto -lpcre2-8 -lssl -lz

$(BUILD)/fuzz/nginx.d/nginx: $(SOURCES) tools/build-nginx t/fuzz/build-nginx \
		t/fuzz/nginx.sanitizers t/fuzz/nginx.coverage
	@mkdir -p $(BUILD)/fuzz
	@t/fuzz/build-nginx $(dir $@) $(BUILD)/nginx-src
