-- Signs an abort as it came, unjudged: the key of the day is cached, hashes are
-- libcrypto's over FFI.  For comparison only: paths must need no encoding.

local ffi = require "ffi"

ffi.cdef [[
unsigned char *SHA256(const char *d, size_t n, unsigned char *hash);
unsigned char *HMAC(const void *md, const char *key, int key_len,
    const char *d, size_t n, unsigned char *hash, unsigned int *len);
const void *EVP_sha256(void);
unsigned char *ngx_hex_dump(unsigned char *dst, unsigned char *src, size_t n);
]]

local C = ffi.C
local sha256 = C.EVP_sha256()
local hash = ffi.new("unsigned char[32]")
local hex = ffi.new("unsigned char[64]")

local SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
local SCOPE = "/kr-standard/s3/aws4_request"
local EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
local SIGNED = "host;x-amz-content-sha256;x-amz-date"

local second, time, date, key

local function hmac(k, data)
    C.HMAC(sha256, k, #k, data, #data, hash, nil)
    return ffi.string(hash, 32)
end

local function to_hex()
    C.ngx_hex_dump(hex, hash, 32)
    return ffi.string(hex, 64)
end

-- once a second; the key, once a day

local function new_second(now)
    second = now
    time = os.date("!%Y%m%dT%H%M%SZ", now)

    if date ~= time:sub(1, 8) then
        date = time:sub(1, 8)
        key = hmac("AWS4" .. SECRET, date)
        key = hmac(key, "kr-standard")
        key = hmac(key, "s3")
        key = hmac(key, "aws4_request")
    end
end

local function sign()
    local now = ngx.time()

    if now ~= second then
        new_second(now)
    end

    local canonical = "DELETE\n" .. ngx.var.uri .. "\n" .. ngx.var.args
        .. "\nhost:storage.test\nx-amz-content-sha256:" .. EMPTY
        .. "\nx-amz-date:" .. time .. "\n\n" .. SIGNED .. "\n" .. EMPTY

    C.SHA256(canonical, #canonical, hash)

    hmac(key, "AWS4-HMAC-SHA256\n" .. time .. "\n" .. date .. SCOPE .. "\n"
        .. to_hex())

    ngx.var.amz_date = time
    ngx.var.authorization = "AWS4-HMAC-SHA256 Credential=STORAGEKEY/" .. date
        .. SCOPE .. ", SignedHeaders=" .. SIGNED .. ", Signature=" .. to_hex()
end

return { sign = sign }
