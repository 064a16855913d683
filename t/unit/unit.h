
/*
 * Unit tests that print TAP.  guard() puts a string right before a page that
 * may not be touched, guard_room() room for a result: one byte read or
 * written behind the end is a crash.
 */


#ifndef _UNIT_H_INCLUDED_
#define _UNIT_H_INCLUDED_


#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "s3_string.h"


/* so many strings live at a time */

#define UNIT_GUARDS  1024

#define UNIT_CANARY  0xa5


#define S(literal)   guard(literal, sizeof(literal) - 1)


static int  unit_tests;
static int  unit_failures;

static struct {
    u_char  *map;
    size_t   size;
    size_t   free;             /* bytes before the string */
} unit_guards[UNIT_GUARDS];

static unsigned  unit_nguards;


static inline void
unit_release(unsigned i)
{
    size_t  n;

    if (unit_guards[i].map == NULL) {
        return;
    }

    for (n = 0; n < unit_guards[i].free; n++) {
        if (unit_guards[i].map[n] != UNIT_CANARY) {
            printf("Bail out! a byte before a buffer was written\n");
            exit(1);
        }
    }

    munmap(unit_guards[i].map, unit_guards[i].size);
    unit_guards[i].map = NULL;
}


static inline u_char *
guard_room(size_t len)
{
    u_char    *map;
    size_t     page, size;
    unsigned   i;

    i = unit_nguards++ % UNIT_GUARDS;

    unit_release(i);

    page = (size_t) sysconf(_SC_PAGESIZE);
    size = (len + page - 1) / page * page + page;

    map = mmap(NULL, size, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS,
               -1, 0);

    if (map == MAP_FAILED || mprotect(map + size - page, page, PROT_NONE)) {
        printf("Bail out! no memory\n");
        exit(1);
    }

    unit_guards[i].map = map;
    unit_guards[i].size = size;
    unit_guards[i].free = size - page - len;

    memset(map, UNIT_CANARY, size - page);

    return map + size - page - len;
}


static inline s3_str_t
guard(const void *data, size_t len)
{
    s3_str_t  s;

    s.len = len;
    s.data = guard_room(len);

    if (len) {
        memcpy(s.data, data, len);
    }

    return s;
}


static inline s3_str_t
guard_z(const char *s)
{
    return guard(s, strlen(s));
}


/* "n" times the byte "c" */

static inline s3_str_t
guard_fill(int c, size_t n)
{
    s3_str_t  s;

    s.len = n;
    s.data = guard_room(n);
    memset(s.data, c, n);

    return s;
}


static inline s3_str_t guard_f(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));

static inline s3_str_t
guard_f(const char *fmt, ...)
{
    int          n;
    va_list      args;
    static char  text[65536];

    va_start(args, fmt);
    n = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);

    if (n < 0 || (size_t) n >= sizeof(text)) {
        printf("Bail out! a string is too long\n");
        exit(1);
    }

    return guard(text, (size_t) n);
}


static inline s3_str_t
unit_str(const u_char *start, const u_char *end)
{
    s3_str_t  s;

    s.data = (u_char *) start;
    s.len = (size_t) (end - start);

    return s;
}


static inline void
unit_print(const char *what, s3_str_t s)
{
    size_t  i;

    printf("# %s: ", what);

    for (i = 0; i < s.len; i++) {

        if (s.data[i] < 0x20 || s.data[i] > 0x7e || s.data[i] == '\\') {
            printf("\\x%02x", s.data[i]);

        } else {
            putchar(s.data[i]);
        }
    }

    printf(" (%zu bytes)\n", s.len);
}


static inline int ok(int passed, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static inline int is_int(int64_t got, int64_t expected, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static inline int is_str(s3_str_t got, s3_str_t expected, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static inline int is_text(s3_str_t got, const char *expected, const char *fmt,
    ...) __attribute__((format(printf, 3, 4)));


static inline int
unit_report(int passed, const char *fmt, va_list args)
{
    char   name[512];
    char  *p;

    (void) vsnprintf(name, sizeof(name), fmt, args);

    for (p = name; *p; p++) {
        if (*p == '#' || *p == '\\') {
            *p = '_';

        } else if (*p < 0x20 || *p == 0x7f) {
            *p = '.';
        }
    }

    printf("%sok %d - %s\n", passed ? "" : "not ", ++unit_tests, name);

    if (!passed) {
        unit_failures++;
    }

    return passed;
}


static inline int
ok(int passed, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    passed = unit_report(passed, fmt, args);
    va_end(args);

    return passed;
}


static inline int
is_int(int64_t got, int64_t expected, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);

    if (!unit_report(got == expected, fmt, args)) {
        printf("#      got: %lld\n# expected: %lld\n", (long long) got,
               (long long) expected);
    }

    va_end(args);

    return got == expected;
}


static inline int
is_str(s3_str_t got, s3_str_t expected, const char *fmt, ...)
{
    int      passed;
    va_list  args;

    passed = s3_str_eq(got, expected);

    va_start(args, fmt);

    if (!unit_report(passed, fmt, args)) {
        unit_print("     got", got);
        unit_print("expected", expected);
    }

    va_end(args);

    return passed;
}


static inline int
is_text(s3_str_t got, const char *expected, const char *fmt, ...)
{
    int       passed;
    va_list   args;
    s3_str_t  e;

    e.len = strlen(expected);
    e.data = (u_char *) expected;

    passed = s3_str_eq(got, e);

    va_start(args, fmt);

    if (!unit_report(passed, fmt, args)) {
        unit_print("     got", got);
        unit_print("expected", e);
    }

    va_end(args);

    return passed;
}


/* the same numbers in every run */

static inline uint32_t
unit_random(void)
{
    static uint64_t  state = 20170318;

    state = state * 6364136223846793005ULL + 1442695040888963407ULL;

    return (uint32_t) (state >> 33);
}


static inline int
done(void)
{
    unsigned  i;

    for (i = 0; i < UNIT_GUARDS; i++) {
        unit_release(i);
    }

    printf("1..%d\n", unit_tests);

    return unit_failures ? 1 : 0;
}


#endif /* _UNIT_H_INCLUDED_ */
