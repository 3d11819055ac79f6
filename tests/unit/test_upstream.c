/* Services with host names of their own: what ingress controllers call them, and what of their lines counts.
 */
#include "unit.h"

#include <string.h>

#include "sources/logline.h"
#include "sources/upstream.h"

#define NGINX "172.18.0.1 - - [12/Jan/2026:10:00:00 +0000] \"GET "
#define REST(upstream)                                                                                       \
    " HTTP/1.1\" 200 612 \"-\" \"curl/8.5\" 1 0.003 [" upstream "] [] 10.0.0.9:80 17 0.002 200 a72c"
#define TRAEFIK(rest) "{\"StartUTC\":\"2026-05-01T10:00:00.1Z\",\"ClientHost\":\"10.0.0.7\"," rest "}"
#define HOST(host)    "\"RequestHost\":\"" host "\","
#define PATH(path)    "\"RequestPath\":\"" path "\","
#define SERVICE(name) "\"ServiceName\":\"" name "@kubernetes\""
#define EXPOSED       "/system/services/nb/exposed/lab"

enum { WITH = 1, WITHOUT = 2, BOTH = 3 };

/* Counted with and without subdomain routes; service NULL: it does not count. */
static const struct {
    const char *line;
    int routes;
    const char *service, *namespace;
    int row;
} lines[] = {
    /* Traefik: the host's first label, and the namespace beside it. */
    {TRAEFIK(HOST("nb.oscar.example.org") PATH("/lab") SERVICE("oscar-svc-nb-svc-80")), WITH, "nb",
     "oscar-svc", __LINE__},
    {TRAEFIK(HOST("nb.oscar.example.org") PATH("/lab") SERVICE("oscar-svc-nb-svc-80")), WITHOUT, NULL, "",
     __LINE__},
    {TRAEFIK(HOST("my-nb.example.org") PATH("/") SERVICE("oscar-svc-62bb11b4-my-nb-svc-8888")), WITH, "my-nb",
     "oscar-svc-62bb11b4", __LINE__},
    {TRAEFIK(HOST("NB.example.org") PATH("/") SERVICE("oscar-svc-nb-svc-80")), WITH, "nb", "oscar-svc",
     __LINE__},
    {TRAEFIK("\"RequestAddr\":\"nb.example.org:8443\"," PATH("/") SERVICE("oscar-svc-nb-svc-http")), WITH,
     "nb", "oscar-svc", __LINE__},
    {TRAEFIK(HOST("") "\"RequestAddr\":\"nb.example.org\"," SERVICE("oscar-svc-nb-svc-80")), WITH, "nb",
     "oscar-svc", __LINE__},
    {TRAEFIK(HOST("a-svc-b.example.org") SERVICE("oscar-svc-a-svc-b-svc-80")), WITH, "a-svc-b", "oscar-svc",
     __LINE__},
    /* What a service has at its own paths is its own business. */
    {TRAEFIK(HOST("web.example.org") PATH(EXPOSED) SERVICE("oscar-svc-web-svc-80")), WITH, "web", "oscar-svc",
     __LINE__},
    {TRAEFIK(HOST("web.example.org") PATH(EXPOSED) SERVICE("oscar-svc-web-svc-80")), WITHOUT, "nb", "",
     __LINE__},
    /* Hosts of others, and hosts of nobody. */
    {TRAEFIK(HOST("minio.example.org") PATH("/") SERVICE("minio-minio-9000")), BOTH, NULL, "", __LINE__},
    {TRAEFIK(HOST("nb.example.org") PATH("/") SERVICE("oscar-nb-svc-80")), BOTH, NULL, "", __LINE__},
    {TRAEFIK(HOST("nb.example.org") PATH("/") SERVICE("oscar-svcx-nb-svc-80")), BOTH, NULL, "", __LINE__},
    {TRAEFIK(HOST("b.example.org") PATH("/") SERVICE("oscar-svc-nb-svc-80")), BOTH, NULL, "", __LINE__},
    {TRAEFIK(HOST("nb.example.org") PATH("/") "\"ServiceName\":7"), BOTH, NULL, "", __LINE__},
    {TRAEFIK(HOST("nb.example.org") "\"RequestPath\":\"/\""), BOTH, NULL, "", __LINE__},
    {TRAEFIK(HOST("[::1]") PATH("/") SERVICE("oscar-svc-nb-svc-80")), BOTH, NULL, "", __LINE__},
    {TRAEFIK(PATH("/") SERVICE("oscar-svc--svc-80")), BOTH, NULL, "", __LINE__},
    {TRAEFIK(HOST("nb.x") PATH("/") SERVICE("oscar-svc-nb-svc-")), BOTH, NULL, "", __LINE__},
    /* Paths, with the namespace where it fits the service. */
    {TRAEFIK(HOST("oscar.example.org") PATH(EXPOSED) SERVICE("oscar-svc-nb-svc-80")), BOTH, "nb", "oscar-svc",
     __LINE__},
    {TRAEFIK(HOST("oscar.example.org") PATH(EXPOSED) SERVICE("oscar-svc-b2-nb-svc-80")), BOTH, "nb",
     "oscar-svc-b2", __LINE__},
    {TRAEFIK(HOST("oscar.example.org") PATH(EXPOSED) SERVICE("oscar-oscar-8080")), BOTH, "nb", "", __LINE__},
    {TRAEFIK(HOST("oscar.example.org") PATH(EXPOSED) SERVICE("oscar-svc-OTHER-nb-svc-80")), BOTH, "nb", "",
     __LINE__},
    /* ingress-nginx: the brackets alone. */
    {NGINX "/lab" REST("oscar-svc-nb-svc-80"), WITH, "nb", "oscar-svc", __LINE__},
    {NGINX "/lab" REST("oscar-svc-nb-svc-80"), WITHOUT, NULL, "", __LINE__},
    {NGINX "/lab" REST("oscar-svc-62bb11b4-my-nb-svc-80"), WITH, "my-nb", "oscar-svc-62bb11b4", __LINE__},
    {NGINX "/lab" REST("oscar-svc-my-first-service-svc-80"), WITH, "my-first-service", "oscar-svc", __LINE__},
    {NGINX EXPOSED REST("oscar-svc-web-svc-80"), WITH, "web", "oscar-svc", __LINE__},
    {NGINX EXPOSED REST("oscar-svc-web-svc-80"), WITHOUT, "nb", "", __LINE__},
    {NGINX EXPOSED REST("oscar-svc-62bb11b4-nb-svc-80"), BOTH, "nb", "oscar-svc-62bb11b4", __LINE__},
    {NGINX EXPOSED REST("upstream-default-backend"), BOTH, "nb", "", __LINE__},
    {NGINX EXPOSED REST(""), BOTH, "nb", "", __LINE__},
    {NGINX EXPOSED " HTTP/1.1\" 200 612 \"-\" \"-\" 1 0.003 [oscar-svc-nb-svc-80", BOTH, "nb", "", __LINE__},
    {NGINX "/lab" REST("oscar-oscar-8080"), BOTH, NULL, "", __LINE__},
    {NGINX "/lab" REST("oscar-oscar-svc-8080"), BOTH, NULL, "", __LINE__},
    {NGINX "/lab" REST("-"), BOTH, NULL, "", __LINE__},
    /* Callers choose the referrer and the agent. */
    {NGINX "/lab HTTP/1.1\" 200 6 \"-\" \"x 1 0.1 [oscar-svc-evil-svc-80]\" 1 0.1 [a-b-80]", BOTH, NULL, "",
     __LINE__},
    {NGINX "/lab HTTP/1.1\" 200 6 \"[oscar-svc-evil-svc-80]\" \"-\" 1 0.1 [oscar-svc-nb-svc-80]", WITH, "nb",
     "oscar-svc", __LINE__},
};

static void lines_count_by_host_name_or_path(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(lines); i++)
        for (int routes = WITH; routes <= WITHOUT; routes++) {
            const struct logline_rules rules = {.kind = LOGLINE_EXPOSED,
                                                .services_namespace = "oscar-svc",
                                                .subdomain_routes = routes == WITH};
            struct logline_event event;
            enum logline_result result;
            bool fine;

            if ((lines[i].routes & routes) == 0)
                continue;
            result = logline_parse(&rules, text_of(lines[i].line), NULL, &event);
            fine = lines[i].service ? result == LOGLINE_COUNTS && text_is(event.service, lines[i].service) &&
                                          text_is(event.namespace, lines[i].namespace) && event.timed &&
                                          event.client.length > 0
                                    : result == LOGLINE_PATH;
            if (!fine)
                fail_msg("row of line %d: %s", lines[i].row, logline_result_name(result));
        }
}

#define LONG_OWNER "oscar-svc-0123456789abcdef0123456789abcdef0123456789abcdef01234"

static const struct {
    const char *services, *both;
    const char *readings; /* "namespace service,", the likeliest first */
    int row;
} readings[] = {
    {"oscar-svc", "oscar-svc-nb", "oscar-svc nb,", __LINE__},
    {"oscar-svc", "oscar-svc-62bb11b4-nb", "oscar-svc-62bb11b4 nb,oscar-svc 62bb11b4-nb,", __LINE__},
    {"oscar-svc", "oscar-svc-john-doe-nb", "oscar-svc john-doe-nb,oscar-svc-john-doe nb,", __LINE__},
    {"oscar-svc", "oscar-svc-62bb11b-x-nb", "oscar-svc 62bb11b-x-nb,", __LINE__},
    {"oscar-svc", LONG_OWNER "-nb",
     LONG_OWNER " nb,oscar-svc " /* one label of a name */
                "0123456789abcdef0123456789abcdef0123456789abcdef01234-nb,",
     __LINE__},
    {"svc", "svc-0123456789abcd-nb", "svc-0123456789abcd nb,svc 0123456789abcd-nb,", __LINE__},
    {"a-long-services-namespace", "a-long-services-namespace-nb", "a-long-services-namespace nb,", __LINE__},
    {"oscar-svc", "oscar-svc", "", __LINE__},
    {"oscar-svc", "oscar-svc-", "", __LINE__},
    {"oscar-svc", "oscar-svcs-nb", "", __LINE__},
    {"oscar-svc", "", "", __LINE__},
};

static void what_can_be_read_in_several_ways_is(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(readings); i++) {
        struct upstream_reading out[UPSTREAM_READINGS];
        size_t count = upstream_read(readings[i].services, text_of(readings[i].both), out);
        const char *expected = readings[i].readings;

        for (size_t k = 0; k < count; k++) {
            struct text rest = text_of(expected), one = text_cut(&rest, ','), namespace = text_cut(&one, ' ');

            if (!text_equal(out[k].namespace, namespace) || !text_equal(out[k].service, one))
                fail_msg("row of line %d, reading %zu", readings[i].row, k);
            expected = rest.data;
        }
        if (*expected)
            fail_msg("row of line %d: %zu readings", readings[i].row, count);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_count_by_host_name_or_path),
        cmocka_unit_test(what_can_be_read_in_several_ways_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
