
#include "s3_upload_id.h"
#include "unit.h"


static const struct {
    const char  *id;
    int64_t      msec;
    const char  *name;
} ids[] = {

    /* published listings of IBM COS and NAVER */

    { "0000015a-d92a-bc4a-c312-8c1c2a0e89db", 1489702141002,
      "2017-03-16T22:09:01.002Z" },
    { "0000015a-df89-51d0-2790-dee1ac994053", 1489809002960,
      "2017-03-18T03:50:02.960Z" },
    { "01000180-3f73-ad2d-2ed4-8bf4b9e5f6b5", 1650331987245,
      "2022-04-19T01:33:07.245Z" },

    { "00000000-0000-0001-0000-000000000000", 1, "the first millisecond" },
    { "ffffffff-ffff-ffff-ffff-ffffffffffff", 281474976710655,
      "48 bits, the largest time" },
    { "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF", 281474976710655,
      "upper-case digits" },
    { "0000015A-dF89-51D0-2790-dEe1ac994053", 1489809002960,
      "digits of both cases" },
    { "ffff0000-0000-0001-ffff-ffffffffffff", 1,
      "version and random bits do not count" },

    { "00000000-0000-0000-0000-000000000000", -1, "a time of 0" },
    { "ffff0000-0000-0000-ffff-ffffffffffff", -1,
      "a time of 0 between other bits" },

    { "", -1, "no id" },
    { "-", -1, "one byte" },
    { "0000015a-df89-51d0-2790-dee1ac99405", -1, "one digit short" },
    { "0000015a-df89-51d0-2790-dee1ac9940530", -1, "one digit long" },
    { "0000015a-df89-51d0-2790-dee1ac994053-", -1, "a dash behind it" },
    { " 0000015a-df89-51d0-2790-dee1ac99405", -1, "a space before it" },
    { "0000015adf8951d02790dee1ac994053", -1, "no dashes" },
    { "0000015a-df89-51d0-2790dee1ac994053-", -1, "a dash out of place" },
    { "0000015a-df89-51d0-2790+dee1ac994053", -1, "a plus for a dash" },
    { "0000015a0df89-51d0-2790-dee1ac994053", -1, "a digit for a dash" },
    { "000-015a-df89-51d0-2790-dee1ac994053", -1, "a dash for a digit" },
    { "0x00015a-df89-51d0-2790-dee1ac994053", -1, "an x" },
    { "2~0VpzYUFYyHwbDmEnyoxWSJfYGGvYdBn", -1, "Ceph's form" },
    { "000001qa-df89-51d0-2790-dee1ac994053", -1, "no digit in the time" },
    { "0000015a-df8g-51d0-2790-dee1ac994053", -1, "a g in the time" },
    { "0000015a-df8@-51d0-2790-dee1ac994053", -1, "an @ in the time" },
    { "0000015a-df8`-51d0-2790-dee1ac994053", -1, "a ` in the time" },
    { "0000015a-df8/-51d0-2790-dee1ac994053", -1, "a / in the time" },
    { "0000015a-df8:-51d0-2790-dee1ac994053", -1, "a : in the time" },
    { "z000015a-df89-51d0-2790-dee1ac994053", -1, "no digit in the version" },
    { "0000015a-df89-51d0-2790-dee1ac99405z", -1, "no digit at the end" },
    { "0000015a-df89-51d0-279\xc3-dee1ac994053", -1, "a byte beyond ASCII" }
};


int
main(void)
{
    int       c, digit;
    size_t    i, n;
    s3_str_t  id;

    for (i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        is_int(s3_upload_id_msec(guard_z(ids[i].id)), ids[i].msec, "%s",
               ids[i].name);
    }

    id = S("0000015a-df89-51d0-2790-dee1ac994053");
    n = 0;

    for (i = 0; i < id.len; i++) {
        u_char  was = id.data[i];

        for (c = 0; c < 256; c++) {
            id.data[i] = (u_char) c;

            digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')
                    || (c >= 'A' && c <= 'F');

            n += (s3_upload_id_msec(id) >= 0)
                 != (was == '-' ? c == '-' : digit);
        }

        id.data[i] = was;
    }

    is_int(n, 0, "every byte in every place");

    for (i = 0; i < id.len; i++) {
        n += s3_upload_id_msec(guard(id.data, i)) != -1;
    }

    is_int(n, 0, "every shorter id");

    id.data[14] = '\0';
    is_int(s3_upload_id_msec(id), -1, "a NUL");

    return done();
}
