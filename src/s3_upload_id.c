
#include "s3_upload_id.h"


static int s3_upload_id_digit(u_char c);


/* where a digit of the time stands "T", another one "x" */

static const char  s3_upload_id_form[] =
    "xxxxTTTT-TTTT-TTTT-xxxx-xxxxxxxxxxxx";


int64_t
s3_upload_id_msec(s3_str_t id)
{
    int      digit;
    size_t   i;
    int64_t  msec;

    if (id.len != sizeof(s3_upload_id_form) - 1) {
        return -1;
    }

    msec = 0;

    for (i = 0; i < id.len; i++) {

        if (s3_upload_id_form[i] == '-') {

            if (id.data[i] != '-') {
                return -1;
            }

            continue;
        }

        digit = s3_upload_id_digit(id.data[i]);

        if (digit < 0) {
            return -1;
        }

        if (s3_upload_id_form[i] == 'T') {
            msec = msec * 16 + digit;
        }
    }

    return msec ? msec : -1;
}


static int
s3_upload_id_digit(u_char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    c |= 0x20;

    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }

    return -1;
}
