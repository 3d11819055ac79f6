/* Any bytes as a log line, of both kinds, with and without a time from outside: what counts keeps its
 * promises. */
#include <stdlib.h>
#include <string.h>

#include "sources/logline.h"
#include "sources/upstream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
    if (!holds)
        abort();
}

static bool within(struct text text, const char *data, size_t size)
{
    return text.length == 0 || (text.data >= data && text.data <= data + size &&
                                text.length <= (size_t)(data + size - text.data));
}

static bool lies_in_its_place(const struct logline_event *event, struct text text, struct text line)
{
    return within(text, line.data, line.length) || within(text, event->name, sizeof(event->name)) ||
           within(text, event->place, sizeof(event->place)) ||
           within(text, event->address, sizeof(event->address));
}

static void check(const struct logline_rules *rules, struct text line, const struct instant *written)
{
    struct logline_event event;
    enum logline_result result = logline_parse(rules, line, written, &event);
    struct instant time;
    struct logline_times times = {0};
    struct logline_rules cached = *rules;
    struct logline_event again;

    demand(result >= LOGLINE_COUNTS && result < LOGLINE_RESULTS);
    demand(written == NULL || (event.timed && instant_compare(event.time, *written) == 0));
    if (written == NULL) {
        demand(logline_time(rules, line, &time) == event.timed);
        demand(!event.timed || instant_compare(event.time, time) == 0);
    }
    cached.times = &times;
    for (int i = 0; i < 2; i++) { /* what the first leaves must not change the second */
        demand(logline_parse(&cached, line, written, &again) == result && again.timed == event.timed);
        demand(!event.timed || instant_compare(event.time, again.time) == 0);
    }
    if (result != LOGLINE_COUNTS)
        return;
    demand(event.timed && event.time.nanoseconds >= 0 && event.time.nanoseconds <= 999999999);
    demand((event.type == USAGE_EXPOSED) == (rules->kind == LOGLINE_EXPOSED));
    demand(text_is_dns_name(event.service));
    demand(lies_in_its_place(&event, event.service, line) && lies_in_its_place(&event, event.client, line));
    demand(within(event.user, line.data, line.length) && lies_in_its_place(&event, event.namespace, line));
    demand(event.namespace.length == 0 || text_starts(event.namespace, "oscar-svc"));
    demand(logline_might_count(rules, line) ||
           (rules->kind == LOGLINE_EXPOSED && memchr(line.data, '\\', line.length)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct instant written = {1777629600, 5};
    const struct logline_rules requests = {.kind = LOGLINE_REQUESTS, .services_namespace = "oscar-svc"};
    const struct logline_rules exposed = {.kind = LOGLINE_EXPOSED, .services_namespace = "oscar-svc"};
    struct logline_rules hosts = exposed;
    struct text line = {(const char *)data, size};
    struct logline_piece piece;
    struct upstream_reading readings[UPSTREAM_READINGS];

    check(&requests, line, NULL);
    check(&requests, line, &written);
    check(&exposed, line, NULL);
    check(&exposed, line, &written);
    hosts.subdomain_routes = true;
    check(&hosts, line, NULL);
    for (size_t i = upstream_read("oscar-svc", line, readings); i-- > 0;)
        demand(text_equal(upstream_namespace("oscar-svc", line, readings[i].service), readings[i].namespace));
    if (logline_piece(line, &piece))
        demand(within(piece.content, line.data, line.length));
    return 0;
}
