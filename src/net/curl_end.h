/* What libcurl's end of a transfer comes to: an outcome, and words for an operator. Its own error texts are
 * passed on only for TLS, where the detail matters and no URL stands in them. */
#ifndef OM_NET_CURL_END_H
#define OM_NET_CURL_END_H

#include <curl/curl.h>
#include <stddef.h>
#include <stdint.h>

#include "net/fetch.h"

struct curl_end {
    CURL *easy;
    CURLcode code;
    const char *error; /* CURLOPT_ERRORBUFFER */
    int64_t deadline;  /* clock_ms() */
    size_t max_bytes;  /* of the answer */
};

extern const char curl_end_late[]; /* the words for FETCH_TIMEOUT */

/* The words are only there when it is not FETCH_ANSWERED. */
enum fetch_outcome curl_end_read(const struct curl_end *end, char *why, size_t size);

#endif
