
/*
 * Bytes with a length, as everywhere in the pure part of this module: never
 * null-terminated, never owned.  The layout is that of ngx_str_t, but pure
 * files include no nginx header.
 */


#ifndef _S3_STRING_H_INCLUDED_
#define _S3_STRING_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>


typedef struct {
    size_t   len;
    u_char  *data;
} s3_str_t;


#define s3_string(str)     { sizeof(str) - 1, (u_char *) (str) }


static inline int
s3_str_eq(s3_str_t a, s3_str_t b)
{
    return a.len == b.len
           && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}


/* FNV-1a, for hash tables */

static inline uint32_t
s3_str_hash(s3_str_t s)
{
    size_t    i;
    uint32_t  hash;

    hash = 2166136261u;

    for (i = 0; i < s.len; i++) {
        hash = (hash ^ s.data[i]) * 16777619u;
    }

    return hash;
}


/* copies "src" to "dst" and returns the byte behind it */

static inline u_char *
s3_put(u_char *dst, s3_str_t src)
{
    if (src.len) {
        memcpy(dst, src.data, src.len);
    }

    return dst + src.len;
}


/* true if "s" is "lower" without regard to ASCII case; "lower" is lower-case */

static inline int
s3_str_caseeq(s3_str_t s, s3_str_t lower)
{
    u_char  c;
    size_t  i;

    if (s.len != lower.len) {
        return 0;
    }

    for (i = 0; i < s.len; i++) {
        c = s.data[i];

        if (c >= 'A' && c <= 'Z') {
            c |= 0x20;
        }

        if (c != lower.data[i]) {
            return 0;
        }
    }

    return 1;
}


#endif /* _S3_STRING_H_INCLUDED_ */
