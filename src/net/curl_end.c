/* One case a code. */
#include "net/curl_end.h"

#include <errno.h>
#include <stdio.h>

#include "util/timestamp.h"

enum { ROUNDING_MS = 50 }; /* curl's timers and our deadline are not the same clock reading */

const char curl_end_late[] = "no answer before the deadline";

static const char *connect_words(CURL *easy)
{
    long number = 0;

    curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &number);
    switch (number) {
    case ECONNREFUSED:
        return "connection refused";
    case EHOSTUNREACH:
    case ENETUNREACH:
        return "no route to the host";
    case ETIMEDOUT:
        return "connecting took too long";
    default:
        return "cannot connect";
    }
}

static enum fetch_outcome say(enum fetch_outcome outcome, char *why, size_t size, const char *words,
                              const char *more)
{
    snprintf(why, size, "%s%s", words, more);
    return outcome;
}

/* Curl is content with a first line that begins with "HTTP/". */
static bool has_status(CURL *easy)
{
    long status = 0;

    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    return status != 0;
}

enum fetch_outcome curl_end_read(const struct curl_end *end, char *why, size_t size)
{
    switch (end->code) {
    case CURLE_OK:
        return has_status(end->easy) ? FETCH_ANSWERED
                                     : say(FETCH_BROKEN, why, size, "the answer is no HTTP", "");
    case CURLE_COULDNT_RESOLVE_HOST:
        return say(FETCH_REFUSED, why, size, "no such host", "");
    case CURLE_COULDNT_CONNECT:
        return say(FETCH_REFUSED, why, size, connect_words(end->easy), "");
    case CURLE_OPERATION_TIMEDOUT:
        /* Only connecting has a limit of its own: time that is left tells the two apart. */
        if (end->deadline - clock_ms() > ROUNDING_MS)
            return say(FETCH_REFUSED, why, size, "connecting took too long", "");
        return say(FETCH_TIMEOUT, why, size, curl_end_late, "");
    case CURLE_FILESIZE_EXCEEDED:
        snprintf(why, size, "the answer is larger than %zu bytes", end->max_bytes);
        return FETCH_TOO_LARGE;
    case CURLE_PEER_FAILED_VERIFICATION:
        return say(FETCH_TLS, why, size, "the certificate is not accepted: ", end->error);
    case CURLE_SSL_CACERT_BADFILE:
        return say(FETCH_TLS, why, size, "the CA file cannot be used", "");
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
        return say(FETCH_TLS, why, size, "TLS: ", end->error);
    case CURLE_URL_MALFORMAT:
        return say(FETCH_INVALID, why, size, "the URL cannot be used", "");
    case CURLE_GOT_NOTHING:
        return say(FETCH_BROKEN, why, size, "the connection was closed without an answer", "");
    case CURLE_UNSUPPORTED_PROTOCOL: /* the URL's was checked: it is what came back */
    case CURLE_WEIRD_SERVER_REPLY:
        return say(FETCH_BROKEN, why, size, "the answer is no HTTP", "");
    default:
        return say(FETCH_BROKEN, why, size, "the connection broke: ", curl_easy_strerror(end->code));
    }
}
