/* Fetches over one curl multi handle. */
#include "net/fetch.h"

#include <curl/curl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "caps.h"
#include "net/curl_end.h"
#include "net/outage.h"
#include "net/traffic.h"
#include "net/trust.h"
#include "util/buf.h"
#include "util/memory.h"
#include "util/timestamp.h"

enum { TRUST_SIZE = 8 * 1024 };  /* fits a CA file's path, and its state */
enum { BACKEND_SIZE = 1024 };    /* fits every name that DNS knows */
enum { CA_CACHE_SECONDS = 600 }; /* where nothing is shared: a CA file that was replaced is seen after that */

/* One fetch. It is in the fetcher's list until its done() is called. */
struct fetch {
    struct fetch *next, *previous;
    CURL *easy; /* NULL: ended before it began */
    struct curl_slist *headers;
    struct buf body;
    size_t header_bytes;
    struct fetch_shared *shared;
    char *backend; /* "https://host:port"; NULL: there is none */
    char *ca_file; /* NULL: the system's */
    enum backend of;
    bool unsent;   /* too late, or it could not be connected to just now */
    int64_t began; /* clock_us() */
    int64_t deadline, retry_after_ms;
    fetch_take *take; /* NULL: the body is kept */
    fetch_done *done;
    void *context;
    enum fetch_outcome outcome; /* of a fetch that ended before it began, or by our own limits */
    char why[CURL_ERROR_SIZE + 64];
    char error[CURL_ERROR_SIZE];
};

struct fetch_shared {
    struct outages *outages;
    struct traffic *traffic;
    struct trust *trust; /* NULL: curl's TLS library is another one */
};

struct fetcher {
    struct fetch_shared *shared;
    CURLM *multi;
    struct fetch_tally tally[BACKEND_COUNT];
    struct fetch *fetches;
    size_t running;
    size_t stillborn; /* of them, those without an easy handle: no reason to wait */
};

bool fetch_library_init(void)
{
    const curl_version_info_data *info;

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return false;
    info = curl_version_info(CURLVERSION_NOW);
    /* Without the asynchronous resolver a dead name server would stop a worker beyond every deadline. */
    return (info->features & CURL_VERSION_SSL) && (info->features & CURL_VERSION_ASYNCHDNS);
}

void fetch_library_cleanup(void)
{
    curl_global_cleanup();
}

struct fetch_shared *fetch_shared_new(void)
{
    struct fetch_shared *shared = memory_new(1, sizeof(*shared));

    shared->outages = outages_new();
    shared->traffic = traffic_new();
    if (trust_fits(curl_version_info(CURLVERSION_NOW)->ssl_version))
        shared->trust = trust_new();
    return shared;
}

void fetch_shared_free(struct fetch_shared *shared)
{
    if (shared == NULL)
        return;
    outages_free(shared->outages);
    traffic_free(shared->traffic);
    trust_free(shared->trust);
    free(shared);
}

void fetch_shared_renew(struct fetch_shared *shared)
{
    outages_forget(shared->outages);
    if (shared->trust)
        trust_renew(shared->trust);
}

bool fetch_shared_trusts(struct fetch_shared *shared, const char *ca_file)
{
    return shared->trust ? trust_reads(shared->trust, ca_file) : access(ca_file, R_OK) == 0;
}

struct traffic *fetch_shared_traffic(const struct fetch_shared *shared)
{
    return shared->traffic;
}

struct fetcher *fetcher_new(struct fetch_shared *shared)
{
    struct fetcher *fetcher = memory_new(1, sizeof(*fetcher));

    fetcher->shared = shared;
    fetcher->multi = curl_multi_init();
    if (fetcher->multi == NULL)
        abort();
    curl_multi_setopt(fetcher->multi, CURLMOPT_MAXCONNECTS, (long)FETCH_KEPT_CONNECTIONS_MAX);
    return fetcher;
}

void fetcher_free(struct fetcher *fetcher)
{
    if (fetcher == NULL)
        return;
    fetcher_cancel(fetcher);
    curl_multi_cleanup(fetcher->multi);
    free(fetcher);
}

void fetcher_tally_reset(struct fetcher *fetcher)
{
    memset(fetcher->tally, 0, sizeof(fetcher->tally));
}

const struct fetch_tally *fetcher_tally(const struct fetcher *fetcher, enum backend backend)
{
    return &fetcher->tally[backend];
}

size_t fetcher_running(const struct fetcher *fetcher)
{
    return fetcher->running;
}

__attribute__((format(printf, 3, 4))) static void set_outcome(struct fetch *fetch, enum fetch_outcome outcome,
                                                              const char *format, ...)
{
    va_list args;

    fetch->outcome = outcome;
    va_start(args, format);
    vsnprintf(fetch->why, sizeof(fetch->why), format, args);
    va_end(args);
}

static size_t take_body(char *data, size_t size, size_t count, void *context)
{
    struct fetch *fetch = context;
    size_t length = size * count;
    long status = 0;

    if (fetch->take)
        curl_easy_getinfo(fetch->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status == 200) {
        if (fetch->take(fetch->context, (struct text){data, length}))
            return length;
        set_outcome(fetch, FETCH_ENOUGH, "no more was wanted");
        return CURL_WRITEFUNC_ERROR;
    }
    if (buf_add(&fetch->body, (struct text){data, length}))
        return length;
    set_outcome(fetch, FETCH_TOO_LARGE, "the answer is larger than %zu bytes", fetch->body.limit);
    return CURL_WRITEFUNC_ERROR;
}

static size_t take_header(char *data, size_t size, size_t count, void *context)
{
    struct fetch *fetch = context;

    (void)data;
    fetch->header_bytes += size * count;
    if (fetch->header_bytes <= FETCH_HEADERS_MAX_BYTES)
        return size * count;
    set_outcome(fetch, FETCH_BROKEN, "the headers of the answer are too large");
    return CURL_WRITEFUNC_ERROR;
}

static bool is_set(const char *string)
{
    return string && *string;
}

/* A header is built from it: a line end would begin another header. */
static bool has_control(const char *string)
{
    for (const char *c = string; c && *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return true;
    return false;
}

static void add_header(struct fetch *fetch, const char *name, const char *value)
{
    struct buf line;
    struct curl_slist *headers;

    buf_init(&line, FETCH_HEADER_MAX_BYTES);
    buf_add_string(&line, name);
    buf_add_string(&line, value);
    headers = line.full ? NULL : curl_slist_append(fetch->headers, line.data);
    if (headers)
        fetch->headers = headers;
    else
        set_outcome(fetch, FETCH_INVALID, "a header cannot be made");
    explicit_bzero(line.data, line.length);
    buf_free(&line);
}

static void free_headers(struct curl_slist *headers)
{
    for (struct curl_slist *header = headers; header; header = header->next)
        explicit_bzero(header->data, strlen(header->data));
    curl_slist_free_all(headers);
}

static void set_access(struct fetch *fetch, const struct fetch_access *access)
{
    if (has_control(access->token) || has_control(access->username) || has_control(access->password) ||
        has_control(access->tenant)) {
        set_outcome(fetch, FETCH_INVALID, "a control character in the credentials or the tenant");
        return;
    }
    if (is_set(access->token)) {
        add_header(fetch, "Authorization: Bearer ", access->token);
    } else if (is_set(access->username)) {
        curl_easy_setopt(fetch->easy, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
        curl_easy_setopt(fetch->easy, CURLOPT_USERNAME, access->username);
        curl_easy_setopt(fetch->easy, CURLOPT_PASSWORD, access->password ? access->password : "");
    }
    if (is_set(access->tenant))
        add_header(fetch, "X-Scope-OrgID: ", access->tenant);
    if (is_set(access->ca_file))
        fetch->ca_file = memory_copy(access->ca_file, strlen(access->ca_file));
}

/* A connection is about to be made. */
static CURLcode give_trust(CURL *easy, void *connection, void *context)
{
    const struct fetch *fetch = context;
    const char *file = fetch->ca_file, *folder = NULL;

    if (file == NULL) {
        curl_easy_getinfo(easy, CURLINFO_CAINFO, &file);
        curl_easy_getinfo(easy, CURLINFO_CAPATH, &folder);
    }
    return trust_give(fetch->shared->trust, connection, file, folder) ? CURLE_OK : CURLE_SSL_CACERT_BADFILE;
}

/* Nothing is read from a "folder" that is none. But a connection, or its session, is used again only by those
 * who name the same: not by those who trust others, and not when what was trusted then has changed. */
static void name_trust(struct fetch *fetch)
{
    char state[TRUST_STATE_SIZE];
    struct buf name;

    trust_state(fetch->shared->trust, fetch->ca_file, state);
    buf_init(&name, TRUST_SIZE);
    buf_format(&name, "%s#%s", fetch->ca_file ? fetch->ca_file : "", state);
    if (name.full)
        set_outcome(fetch, FETCH_INVALID, "the CA file's name is too long");
    else
        curl_easy_setopt(fetch->easy, CURLOPT_CAPATH, name.data);
    buf_free(&name);
}

static void set_trust(struct fetch *fetch)
{
    CURL *easy = fetch->easy;

    if (fetch->shared && fetch->shared->trust) {
        curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, give_trust);
        curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, fetch);
        /* Curl is not to read it too. */
        curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
        name_trust(fetch);
    } else if (fetch->ca_file) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, fetch->ca_file);
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
}

/* What every fetch is held to. */
static void set_guards(struct fetch *fetch, int64_t left, size_t max_bytes)
{
    CURL *easy = fetch->easy;

    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, (long)CA_CACHE_SECONDS);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)left);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                     (long)(left < FETCH_CONNECT_MS ? left : FETCH_CONNECT_MS));
    /* A name that is still being looked up at the deadline is left to its thread instead of being waited for.
     */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    if (fetch->take == NULL) /* else the status decides, when it comes */
        curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)max_bytes);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, fetch);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, fetch);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, fetch->error);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, fetch);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "oscar-metrics");
}

/* "https://host:port"; NULL when the URL is no such one. */
static char *backend_of(const char *url)
{
    CURLU *parsed = curl_url();
    char *scheme = NULL, *host = NULL, *port = NULL;
    struct buf backend;

    if (parsed == NULL)
        abort();
    buf_init(&backend, BACKEND_SIZE);
    if (curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
        (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0) &&
        curl_url_get(parsed, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        curl_url_get(parsed, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK)
        buf_format(&backend, "%s://%s:%s", scheme, host, port);
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(parsed);
    if (backend.length == 0)
        buf_free(&backend);
    return backend.data;
}

/* True: it could not be connected to just now, and is not tried again yet. */
static bool is_out(struct fetch *fetch)
{
    char words[OUTAGE_WORDS_SIZE];

    if (fetch->shared == NULL)
        return false;
    fetch->retry_after_ms = outages_left(fetch->shared->outages, text_of(fetch->backend), clock_ms(), words);
    fetch->unsent = fetch->retry_after_ms > 0;
    if (fetch->unsent)
        set_outcome(fetch, FETCH_REFUSED, "%s", words);
    return fetch->unsent;
}

static void prepare(struct fetch *fetch, const struct fetch_request *request)
{
    int64_t left = request->deadline - clock_ms();

    fetch->backend = backend_of(request->url);
    if (fetch->backend == NULL) {
        set_outcome(fetch, FETCH_INVALID, "the URL is no usable http:// or https:// URL");
        return;
    }
    if (left <= 0) {
        fetch->unsent = true;
        set_outcome(fetch, FETCH_TIMEOUT, "%s", curl_end_late);
        return;
    }
    if (is_out(fetch))
        return;
    if (left > INT32_MAX)
        left = INT32_MAX;
    set_guards(fetch, left, request->max_bytes);
    curl_easy_setopt(fetch->easy, CURLOPT_URL, request->url);
    if (request->body.data) {
        /* Without "Expect" a large body is not held back for a second where the server does not know it. */
        add_header(fetch, "Expect:", "");
        curl_easy_setopt(fetch->easy, CURLOPT_POST, 1L);
        curl_easy_setopt(fetch->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.length);
        curl_easy_setopt(fetch->easy, CURLOPT_COPYPOSTFIELDS, request->body.data);
    }
    if (request->access)
        set_access(fetch, request->access);
    set_trust(fetch);
    curl_easy_setopt(fetch->easy, CURLOPT_HTTPHEADER, fetch->headers);
}

static void count_begin(struct fetcher *fetcher, struct fetch *fetch)
{
    struct fetch_tally *tally = &fetcher->tally[fetch->of];

    fetch->began = clock_us();
    if (tally->requests++ == 0)
        tally->first = fetch->began;
    if (fetch->shared)
        traffic_begin(fetch->shared->traffic, fetch->of);
}

static void count_end(struct fetcher *fetcher, const struct fetch *fetch, long status)
{
    struct fetch_tally *tally = &fetcher->tally[fetch->of];
    int64_t now = clock_us();
    struct traffic_end end = {.backend = fetch->of,
                              .outcome = fetch->outcome,
                              .status = status,
                              .why = fetch->why,
                              .tried = !fetch->unsent,
                              .took = now - fetch->began};

    /* Whoever waited until the deadline may be quicker to say so than curl. */
    if (fetch->outcome == FETCH_CANCELLED && now / 1000 >= fetch->deadline) {
        end.outcome = FETCH_TIMEOUT;
        end.why = curl_end_late;
    }
    tally->last = now;
    tally->failures += traffic_is_failure(&end);
    if (fetch->shared)
        traffic_end(fetch->shared->traffic, &end);
}

void fetch_start(struct fetcher *fetcher, const struct fetch_request *request, fetch_done *done,
                 void *context)
{
    struct fetch *fetch = memory_new(1, sizeof(*fetch));

    fetch->take = request->take;
    fetch->done = done;
    fetch->context = context;
    fetch->shared = fetcher->shared;
    fetch->of = request->backend;
    fetch->deadline = request->deadline;
    buf_init(&fetch->body, request->max_bytes);
    count_begin(fetcher, fetch);
    fetch->easy = curl_easy_init();
    if (fetch->easy == NULL)
        abort();
    prepare(fetch, request);
    if (fetch->outcome == FETCH_ANSWERED && curl_multi_add_handle(fetcher->multi, fetch->easy) != CURLM_OK)
        set_outcome(fetch, FETCH_INVALID, "the request cannot be started");
    if (fetch->outcome != FETCH_ANSWERED) {
        curl_easy_cleanup(fetch->easy);
        fetch->easy = NULL;
        fetcher->stillborn++;
    }
    fetch->next = fetcher->fetches;
    if (fetch->next)
        fetch->next->previous = fetch;
    fetcher->fetches = fetch;
    fetcher->running++;
}

/* What the others should know of the backend. */
static void tell_others(const struct fetch *fetch)
{
    if (fetch->shared == NULL || fetch->easy == NULL)
        return;
    if (fetch->outcome == FETCH_REFUSED)
        outages_begin(fetch->shared->outages, text_of(fetch->backend), fetch->why, clock_ms());
    else if (fetch->outcome == FETCH_ANSWERED)
        outages_end(fetch->shared->outages, text_of(fetch->backend));
}

/* Takes the fetch out of the list, tells its owner, and frees it. */
static void finish(struct fetcher *fetcher, struct fetch *fetch)
{
    struct fetch_answer answer = {
        .outcome = fetch->outcome, .body = buf_text(&fetch->body), .retry_after_ms = fetch->retry_after_ms};
    curl_off_t seconds = 0;

    if (fetch->previous)
        fetch->previous->next = fetch->next;
    else
        fetcher->fetches = fetch->next;
    if (fetch->next)
        fetch->next->previous = fetch->previous;
    fetcher->running--;

    tell_others(fetch);
    if (fetch->easy) {
        curl_multi_remove_handle(fetcher->multi, fetch->easy);
        if (fetch->outcome == FETCH_ANSWERED) {
            curl_easy_getinfo(fetch->easy, CURLINFO_RESPONSE_CODE, &answer.status);
            curl_easy_getinfo(fetch->easy, CURLINFO_RETRY_AFTER, &seconds);
            answer.retry_after_ms =
                (int64_t)(seconds < FETCH_RETRY_AFTER_MAX_SECONDS ? seconds : FETCH_RETRY_AFTER_MAX_SECONDS) *
                1000;
            if (answer.retry_after_ms < 0)
                answer.retry_after_ms = 0;
        }
        curl_easy_cleanup(fetch->easy);
    } else {
        fetcher->stillborn--;
    }
    count_end(fetcher, fetch, answer.status);
    free_headers(fetch->headers);
    if (fetch->outcome != FETCH_ANSWERED) {
        answer.body = TEXT_LITERAL("");
        answer.why = fetch->why;
    }
    fetch->done(fetch->context, &answer);
    buf_free(&fetch->body);
    free(fetch->backend);
    free(fetch->ca_file);
    free(fetch);
}

/* The oldest, so that those that a done() starts come after it. */
static struct fetch *find_stillborn(const struct fetcher *fetcher)
{
    struct fetch *found = NULL;

    for (struct fetch *fetch = fetcher->fetches; fetch; fetch = fetch->next)
        if (fetch->easy == NULL)
            found = fetch;
    return found;
}

/* True when at least one fetch ended. Those that done() starts and that end at once are left for the next
 * call: a done() that tries again for ever must not hold the worker. */
static bool move_on(struct fetcher *fetcher)
{
    size_t stillborn = fetcher->stillborn;
    bool ended = stillborn > 0;
    int still_running, left;
    CURLMsg *message;

    for (; stillborn > 0; stillborn--) {
        struct fetch *fetch = find_stillborn(fetcher);

        if (fetch)
            finish(fetcher, fetch);
    }
    curl_multi_perform(fetcher->multi, &still_running);
    while ((message = curl_multi_info_read(fetcher->multi, &left))) {
        CURLcode code = message->data.result;
        char *private = NULL;
        struct fetch *fetch;

        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
        fetch = (struct fetch *)(void *)private;
        if (fetch->outcome == FETCH_ANSWERED)
            fetch->outcome = curl_end_read(&(struct curl_end){.easy = fetch->easy,
                                                              .code = code,
                                                              .error = fetch->error,
                                                              .deadline = fetch->deadline,
                                                              .max_bytes = fetch->body.limit},
                                           fetch->why, sizeof(fetch->why));
        finish(fetcher, fetch);
        ended = true;
    }
    return ended;
}

void fetcher_wait(struct fetcher *fetcher, int watched, int timeout_ms)
{
    struct curl_waitfd extra = {.fd = watched, .events = CURL_WAIT_POLLIN};

    if (move_on(fetcher))
        return;
    curl_multi_poll(fetcher->multi, &extra, watched >= 0 ? 1 : 0, timeout_ms, NULL);
    move_on(fetcher);
}

void fetcher_wake(struct fetcher *fetcher)
{
    curl_multi_wakeup(fetcher->multi);
}

void fetcher_cancel(struct fetcher *fetcher)
{
    while (fetcher->fetches) {
        set_outcome(fetcher->fetches, FETCH_CANCELLED, "cancelled");
        finish(fetcher, fetcher->fetches);
    }
}
