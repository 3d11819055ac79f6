/* The pairs are put together for log_pairs(). */
#include "http/access_log.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/random.h>

#include "caps.h"
#include "http/status.h"
#include "log.h"
#include "net/fetch.h"
#include "util/arena.h"

enum { OWN_ID_BYTES = 16 };

struct pairs {
    struct arena *arena;
    struct log_pair all[11 + 3 * BACKEND_COUNT];
    size_t count;
};

static void add(struct pairs *pairs, const char *key, const char *value)
{
    if (pairs->count == sizeof(pairs->all) / sizeof(pairs->all[0]))
        abort();
    pairs->all[pairs->count++] = (struct log_pair){key, value};
}

static void add_number(struct pairs *pairs, const char *key, uint64_t value)
{
    add(pairs, key, arena_format(pairs->arena, "%" PRIu64, value));
}

static bool is_fit(struct text id)
{
    for (size_t i = 0; i < id.length; i++) {
        char c = id.data[i];

        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
              c == '.' || c == '-'))
            return false;
    }
    return id.length > 0 && id.length <= ACCESS_LOG_ID_MAX_BYTES;
}

const char *access_log_id(const struct request *request)
{
    struct text given = request_parameter(request, "REQUEST_ID");
    unsigned char bytes[OWN_ID_BYTES];
    char *own;

    if (is_fit(given))
        return arena_string(request->arena, given);
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
        abort();
    own = arena_alloc(request->arena, 2 * OWN_ID_BYTES + 1, 1);
    for (size_t i = 0; i < OWN_ID_BYTES; i++) {
        own[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
        own[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
    }
    return own;
}

static void add_backend(struct pairs *pairs, const struct request *request, enum backend backend)
{
    const struct fetch_tally *tally = fetcher_tally(request->fetcher, backend);
    const char *name = backend_name(backend);

    if (tally->requests == 0)
        return;
    add_number(pairs, arena_format(pairs->arena, "%s_ms", name),
               (uint64_t)(tally->last - tally->first) / 1000);
    add_number(pairs, arena_format(pairs->arena, "%s_requests", name), tally->requests);
    add_number(pairs, arena_format(pairs->arena, "%s_failures", name), tally->failures);
}

void access_log(const struct request *request, enum route_label route, int status, int64_t took)
{
    struct pairs pairs = {.arena = request->arena};

    add(&pairs, "request_id", access_log_id(request));
    add(&pairs, "method", arena_string(request->arena, request->method));
    add(&pairs, "path", arena_string(request->arena, request->path));
    add(&pairs, "route", route_label_name(route));
    add_number(&pairs, "status", (uint64_t)status);
    add_number(&pairs, "bytes", request->bytes);
    if (request->cut)
        add(&pairs, "cut", "true");
    add_number(&pairs, "ms", (uint64_t)took / 1000);
    if (request->complete)
        add(&pairs, "complete", request->complete);
    for (unsigned i = 0; i < BACKEND_COUNT; i++)
        add_backend(&pairs, request, (enum backend)i);
    if (request->reason)
        add(&pairs, "reason", request->reason);
    log_pairs(LOG_INFO, status == STATUS_CLIENT_GONE ? "client went away" : "request", pairs.all,
              pairs.count);
}
