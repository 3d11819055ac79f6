/* What a user is answered, from an identity to the bytes: which services, which refusal first, which words.
 * The numbers were counted by hand in the lines below. */
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http_server.h"

#include "http/counters.h"
#include "http/handlers.h"
#include "http/route.h"
#include "http/server.h"
#include "net/fetch.h"
#include "report/report.h"
#include "settings.h"
#include "util/arena.h"
#include "util/buf.h"

struct fixture {
    struct exchange exchange; /* first */
    char folder[64];
    const char *query, *scope, *services_dir, *api; /* Kubernetes and Prometheus; NULL: a folder, no hours */
    struct arena *arena;
    struct settings *settings;
    struct server server;
    struct fetcher *fetcher;
    struct buf answer;
    size_t takes; /* bytes of an answer; 0: all */
};

#define LINE(method_and_path, user, rest)                                                                    \
    "[GIN-EXECUTIONS-LOGGER] 2026-05-01T01:00:00Z | 200 | 1ms | 10.0.0.1 | POST " method_and_path            \
    " | " user rest "\n"

static const char requests_log[] =
    "[GIN-EXECUTIONS-LOGGER] 2026-05-01T00:00:00Z | 200 | 1ms | 10.0.0.1 | POST /run/hidden | "
    "secret-user\n" LINE("/run/open", "u", "") LINE("/run/open", "x", "") LINE("/job/mine", "u", "")
        LINE("/run/hidden", "secret-user", "") LINE("/run/half", "secret-user", "")
            LINE("/run/half", "u", " | half | oscar-svc-u")
                LINE("/run/half", "secret-user", " | half | oscar-svc-b")
                    LINE("/run/gone", "u", " | gone | oscar-svc-u") LINE("/run/gone", "secret-user", "")
                        LINE("/run/broken", "secret-user", "");

static const char exposed_log[] =
    "::1 - - [01/May/2026:01:00:00 +0000] \"GET /system/services/open/exposed/ HTTP/1.1\" 200\n"
    "::1 - - [01/May/2026:01:00:00 +0000] \"GET /system/services/hidden/exposed/ HTTP/1.1\" 200\n";

static const struct {
    const char *path, *text;
} files[] = {
    {"requests.log", requests_log},
    {"exposed.log", exposed_log},
    {"services/open.yaml", "name: open\nowner: b\nvisibility: public\n"},
    {"services/mine.yaml", "name: mine\nowner: u\n"},
    {"services/hidden.yaml", "name: hidden\nowner: b\n"},
    {"services/broken.yaml", "name: broken\nowner: [secret-user]\n"},
    {"services/oscar-svc-u/half.yaml", "name: half\nowner: u\n"},
    {"services/oscar-svc-b/half.yaml", "name: half\nowner: b\n"},
};

static const char *look_up(void *context, const char *name)
{
    const struct fixture *f = context;
    const struct variable values[] = {
        {"OSCAR_USERNAME", "oscar"},
        {"OSCAR_PASSWORD", "secret"},
        {"PROMETHEUS_URL", f->api ? f->api : "none"},
        {"OSCAR_METRICS_KUBE_URL", f->api},
        {"OSCAR_METRICS_SCOPE", f->scope},
        {"OSCAR_METRICS_LOG_FILES", arena_format(f->arena, "%s/requests.log", f->folder)},
        {"OSCAR_METRICS_EXPOSED_LOG_FILES", arena_format(f->arena, "%s/exposed.log", f->folder)},
        {"OSCAR_METRICS_SERVICES_DIR",
         f->api ? NULL : arena_format(f->arena, "%s/%s", f->folder, f->services_dir)},
    };

    return variable_of(values, COUNT_OF(values), name);
}

static const char *parameter(struct exchange *exchange, const char *name)
{
    return strcmp(name, "QUERY_STRING") == 0 ? ((struct fixture *)exchange)->query : NULL;
}

static size_t write_bytes(struct exchange *exchange, struct text bytes)
{
    struct fixture *f = (struct fixture *)exchange;
    size_t left = f->takes - f->answer.length;

    if (f->takes > 0 && bytes.length > left)
        bytes.length = left;
    return buf_add(&f->answer, bytes) ? bytes.length : 0;
}

static int descriptor(struct exchange *exchange)
{
    (void)exchange;
    return -1;
}

static void configure(struct fixture *f, const char *scope, const char *services_dir)
{
    f->scope = scope;
    f->services_dir = services_dir;
    settings_release(f->settings);
    f->settings = settings_read(look_up, f, stderr);
    assert_non_null(f->settings);
}

static int set_up(void **state)
{
    static const struct exchange_ops ops = {parameter, write_bytes, descriptor};
    static const char *const folders[] = {"services", "services/oscar-svc-u", "services/oscar-svc-b"};
    struct fixture *f = calloc(1, sizeof(*f));

    *state = f;
    f->exchange.ops = &ops;
    strcpy(f->folder, "/tmp/handlers-XXXXXX");
    if (mkdtemp(f->folder) == NULL)
        return -1;
    f->arena = arena_new();
    for (size_t i = 0; i < COUNT_OF(folders); i++)
        if (mkdir(arena_format(f->arena, "%s/%s", f->folder, folders[i]), 0700) != 0)
            return -1;
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        FILE *file = fopen(arena_format(f->arena, "%s/%s", f->folder, files[i].path), "w");

        if (file == NULL || fputs(files[i].text, file) < 0 || fclose(file) != 0)
            return -1;
    }
    configure(f, "visible", "services");
    server_open(&f->server, f->settings, false);
    f->fetcher = fetcher_new(NULL);
    buf_init(&f->answer, 1 << 20);
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    const char *command = arena_format(f->arena, "rm -r %s", f->folder);
    int status = system(command);

    buf_free(&f->answer);
    fetcher_free(f->fetcher);
    server_close(&f->server);
    settings_release(f->settings);
    arena_free(f->arena);
    free(f);
    return status;
}

#define DAY "start=2026-05-01T00:00:00Z&end=2026-05-01T23:59:59Z"

/* What became of the request. */
static struct request serve_as(struct fixture *f, struct identity identity, const char *path,
                               const char *query)
{
    struct request request = {
        .exchange = &f->exchange,
        .arena = f->arena,
        .fetcher = f->fetcher,
        .settings = f->settings,
        .server = &f->server,
        .now = instant_now(),
        .admitted = true,
        .began = clock_ms(),
        .deadline = clock_ms() + 20000,
        .method = TEXT_LITERAL("GET"),
        .identity = identity,
    };

    buf_clear(&f->answer);
    f->query = query;
    request.route = route_find(text_of(path), &request.segment);
    assert_non_null(request.route);
    assert_int_equal(request.route->handler(&request), ANSWERED);
    return request;
}

/* The whole answer, as CGI. */
static const char *ask_as(struct fixture *f, struct identity identity, const char *path, const char *query)
{
    serve_as(f, identity, path, query);
    return arena_string(f->arena, buf_text(&f->answer));
}

static const char *ask(struct fixture *f, const char *path, const char *query)
{
    return ask_as(f, (struct identity){IDENTITY_USER, TEXT_LITERAL("u")}, path, query);
}

static void assert_has(const char *answer, const char *piece)
{
    if (strstr(answer, piece) == NULL)
        fail_msg("no %s in %s", piece, answer);
}

/* Nothing of what u must never hear of. */
static void assert_reveals_nothing(const char *answer)
{
    static const char *const never[] = {"secret", "hidden", "broken", "oscar-svc-b", "/tmp/"};

    for (size_t i = 0; i < COUNT_OF(never); i++)
        if (strstr(answer, never[i]))
            fail_msg("%s in %s", never[i], answer);
}

static void a_summary_of_what_is_visible(void **state)
{
    const char *answer = ask(*state, "/system/metrics", DAY);

    assert_has(answer, "Status: 200 ");
    assert_has(answer, "\"services_count_active\":3,\"services_count_total\":3,");
    assert_has(answer, "\"requests_count_total\":4,\"requests_count_sync\":3,\"requests_count_async\":1,"
                       "\"requests_count_exposed\":1,");
    assert_has(answer, "\"users_count\":2,\"users\":[\"u\",\"x\"]");
    assert_reveals_nothing(answer);
    /* The broken definition is told, without its name. */
    assert_has(answer, "OSCAR-Metrics-Complete: false");
    assert_has(answer, "{\"name\":\"service-inventory\",\"status\":\"partial\",");
    assert_has(answer, "could not be read in full");
}

static void breakdowns_of_what_is_visible(void **state)
{
    const char *by_service =
        ask(*state, "/system/metrics/breakdown", DAY "&group_by=service&include_users=true");
    const char *by_user = ask(*state, "/system/metrics/breakdown", DAY "&group_by=user");
    const char *csv = ask(*state, "/system/metrics/breakdown", DAY "&group_by=service&format=csv");

    assert_has(by_service, "\"key\":\"half\",\"requests_count_total\":1,");
    assert_has(by_service, "\"key\":\"mine\",\"requests_count_total\":1,");
    assert_has(by_service, "\"key\":\"open\",\"requests_count_total\":2,");
    assert_null(strstr(by_service, "gone"));
    assert_reveals_nothing(by_service);
    assert_has(by_user, "\"key\":\"u\",\"membership\":\"member\",\"executions_count\":3,");
    assert_has(by_user, "\"key\":\"x\",\"membership\":\"member\",\"executions_count\":1,");
    assert_reveals_nothing(by_user);
    assert_has(csv, "\nhalf,,1,1,0,0,1,\nmine,,1,0,1,0,1,\nopen,,2,2,0,1,2,\n");
    assert_reveals_nothing(csv);
}

static void one_service(void **state)
{
    const char *open = ask(*state, "/system/metrics/open", DAY "&metric=users-per-service");
    const char *half = ask(*state, "/system/metrics/half", DAY "&metric=requests-sync-per-service");

    assert_has(open, "Status: 200 ");
    assert_has(open, "OSCAR-Metrics-Complete: true"); /* what is broken elsewhere takes nothing from it */
    assert_has(open, "\"value\":2,\"sources\":[{\"name\":\"request-logs\",\"status\":\"ok\"");
    assert_has(half, "\"value\":1,");
    assert_reveals_nothing(open);
    assert_reveals_nothing(half);
}

static void refusals_in_their_order(void **state)
{
    static const struct {
        const char *path, *query, *status, *body;
        int line;
    } rows[] = {
        {"/system/metrics/Nope", "end=x", "400", "{\"error\":\"invalid service name\"}", __LINE__},
        {"/system/metrics/hidden", "end=x", "403", "access denied", __LINE__},
        {"/system/metrics/broken", "end=x", "403", "access denied", __LINE__},
        {"/system/metrics/gone", "end=x", "404", "service not found", __LINE__},
        {"/system/metrics/hidden", DAY, "403", "access denied", __LINE__},
        {"/system/metrics/hidden", DAY "&owner=u", "403", "access denied", __LINE__},
        {"/system/metrics/open", "end=x&owner=u", "400", "{\"error\":\"invalid end timestamp\"}", __LINE__},
        {"/system/metrics/open", DAY "&owner=u&metric=x", "400", "{\"error\":\"invalid metric key\"}",
         __LINE__},
        {"/system/metrics/open", DAY "&owner=u", "400",
         "{\"error\":\"owner filter is only available with admin authentication\"}", __LINE__},
        {"/system/metrics", DAY "&owner=%zz", "400",
         "{\"error\":\"owner filter is only available with admin authentication\"}", __LINE__},
        {"/system/metrics/breakdown", DAY "&owner=u", "400", "{\"error\":\"group_by is required\"}",
         __LINE__},
        {"/system/metrics/breakdown", DAY "&owner=u&group_by=user", "400",
         "{\"error\":\"owner filter is only available with admin authentication\"}", __LINE__},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char *answer = ask(*state, rows[i].path, rows[i].query);
        const char *body = strstr(answer, "\r\n\r\n");

        if (strncmp(answer + strlen("Status: "), rows[i].status, 3) != 0 || body == NULL ||
            strcmp(body + 4, rows[i].body) != 0)
            fail_msg("row of line %d: %s", rows[i].line, answer);
    }
}

static void an_owner_that_is_left_empty_is_no_filter(void **state)
{
    assert_has(ask(*state, "/system/metrics", DAY "&owner="), "Status: 200 ");
}

static void without_the_inventory_there_is_no_report(void **state)
{
    static const char *const paths[] = {"/system/metrics", "/system/metrics/breakdown",
                                        "/system/metrics/open", "/system/metrics/hidden",
                                        "/system/metrics/gone"};
    const struct identity admin = {.kind = IDENTITY_ADMIN};

    configure(*state, "visible", "no-such-folder");
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        const char *answer = ask(*state, paths[i], DAY "&group_by=user");

        assert_has(answer, "Status: 503 ");
        assert_has(answer, "\r\n\r\nservice inventory unavailable");
    }
    assert_has(ask(*state, "/system/metrics/breakdown", DAY), "{\"error\":\"group_by is required\"}");
    assert_has(ask_as(*state, admin, "/system/metrics", DAY), "\"requests_count_total\":11,");
}

static void under_owned_only_what_is_theirs(void **state)
{
    const char *answer;

    configure(*state, "owned", "services");
    answer = ask(*state, "/system/metrics", DAY);
    assert_has(answer, "\"services_count_active\":2,\"services_count_total\":3,\"");
    assert_has(answer, "\"requests_count_total\":3,\"requests_count_sync\":2,\"requests_count_async\":1,"
                       "\"requests_count_exposed\":0,");
    assert_has(answer, "\"users\":[\"u\"]");
    assert_reveals_nothing(answer);
    answer = ask(*state, "/system/metrics/gone", DAY "&metric=requests-sync-per-service");
    assert_has(answer, "Status: 200 ");
    assert_has(answer, "\"value\":1,");
    assert_has(ask(*state, "/system/metrics/open", "end=x"), "Status: 403 ");
    answer = ask(*state, "/system/metrics/never", DAY);
    assert_has(answer, "Status: 200 ");
    assert_has(answer, "\"metric\":\"requests-sync-per-service\",\"value\":0,");
    assert_reveals_nothing(answer);
}

static void a_user_without_anything_gets_zeros(void **state)
{
    const struct identity stranger = {IDENTITY_USER, TEXT_LITERAL("stranger")};
    const char *answer;

    configure(*state, "owned", "services");
    answer = ask_as(*state, stranger, "/system/metrics", DAY);
    assert_has(answer, "\"services_count_active\":0,\"services_count_total\":0,");
    assert_has(answer, "\"countries\":[],\"users_count\":0,\"users\":[]");
    assert_null(strstr(answer, "country-attribution"));
    assert_reveals_nothing(answer);
}

static void the_admin_sees_everything_and_every_word(void **state)
{
    const struct identity admin = {.kind = IDENTITY_ADMIN};
    const char *answer = ask_as(*state, admin, "/system/metrics", DAY);

    assert_has(answer, "\"services_count_active\":5,\"services_count_total\":6,");
    assert_has(answer, "\"requests_count_total\":11,");
    assert_has(answer, "broken.yaml: owner is no text");
}

/* One answer to whatever is asked: a list of no services, and a value. */
#define ALL_IN_ONE                                                                                           \
    "{\"kind\":\"ConfigMapList\",\"items\":[],\"status\":\"success\",\"data\":{\"resultType\":\"vector\","   \
    "\"result\":[{\"metric\":{},\"value\":[1777593600,\"2.5\"]}]}}"

static void the_shared_owners_report_does_not_wait_for_the_inventory(void **state)
{
    const struct identity admin = {.kind = IDENTITY_ADMIN};
    const struct http_reply reply = {.bytes = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" ALL_IN_ONE};
    const struct http_reply replies[] = {reply, reply, reply};
    /* None of them is answered before all are there: the services, CPU, GPU. */
    struct http_server *server = http_server_start(replies, COUNT_OF(replies), COUNT_OF(replies));
    struct fixture *f = *state;
    const char *answer;

    f->api = http_server_url(server);
    configure(f, "visible", "services");
    answer = ask_as(f, admin, "/system/metrics", DAY "&owner=cluster_admin");
    assert_has(answer, "{\"name\":\"service-inventory\",\"status\":\"ok\",");
    assert_has(answer, "{\"name\":\"prometheus\",\"status\":\"ok\",");
    assert_has(answer, "\"cpu_hours_total\":2.5,\"gpu_hours_total\":2.5,");
    http_server_stop(server);
}

static void the_shared_owners_lines_are_those_of_its_services(void **state)
{
    const struct identity admin = {.kind = IDENTITY_ADMIN};
    const char *answer =
        ask_as(*state, admin, "/system/metrics/breakdown", DAY "&group_by=service&owner=cluster_admin");

    /* "half" and "gone" are in other namespaces, or in none; "broken" cannot be read. */
    assert_has(answer, "\"key\":\"hidden\",\"requests_count_total\":2,");
    assert_has(answer, "\"key\":\"mine\",\"requests_count_total\":1,");
    assert_has(answer, "\"key\":\"open\",\"requests_count_total\":2,");
    assert_null(strstr(answer, "\"key\":\"half\""));
    assert_null(strstr(answer, "\"key\":\"gone\""));
    assert_has(answer, "{\"name\":\"service-inventory\",\"status\":\"partial\",");
}

static void who_is_nobody_gets_nothing(void **state)
{
    const struct identity nobody = {0};

    assert_has(ask_as(*state, nobody, "/system/metrics", DAY), "Status: 403 ");
    assert_has(ask_as(*state, nobody, "/system/metrics/open", DAY), "Status: 403 ");
}

/* As if the client took so many bytes of the answer, of which the last is the `whole`th. */
static void take_so_many(struct fixture *f, const char *path, size_t takes, size_t head, size_t whole)
{
    struct counters_view before, after;
    struct request request;

    counters_look(f->server.counters, &before);
    f->takes = takes;
    request = serve_as(f, (struct identity){.kind = IDENTITY_ADMIN}, path, DAY);
    counters_look(f->server.counters, &after);
    assert_int_equal(request.status, takes < head ? 0 : 200);
    assert_int_equal(request.bytes, takes < head ? 0 : takes - head);
    assert_int_equal(request.cut, takes >= head && takes < whole);
    assert_int_equal(request.complete != NULL, takes >= head);
    assert_int_equal(after.reports[false] + after.reports[true],
                     before.reports[false] + before.reports[true] + (takes == whole));
}

/* The client may go away, or time may run out, anywhere in the answer. */
static void what_was_not_taken_is_not_counted(void **state)
{
    static const char *const paths[] = {"/system/metrics", "/system/metrics/owners"};
    struct fixture *f = *state;

    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        const char *answer;
        size_t whole, head;

        f->takes = 0;
        answer = ask_as(f, (struct identity){.kind = IDENTITY_ADMIN}, paths[i], DAY);
        whole = strlen(answer);
        head = whole - strlen(strstr(answer, "\r\n\r\n")) + strlen("\r\n\r\n");
        take_so_many(f, paths[i], 1, head, whole);
        take_so_many(f, paths[i], head - 1, head, whole);
        take_so_many(f, paths[i], head, head, whole);
        take_so_many(f, paths[i], head + 1, head, whole);
        take_so_many(f, paths[i], whole - 1, head, whole);
        take_so_many(f, paths[i], whole, head, whole);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_summary_of_what_is_visible),
        TEST(breakdowns_of_what_is_visible),
        TEST(one_service),
        TEST(refusals_in_their_order),
        TEST(an_owner_that_is_left_empty_is_no_filter),
        TEST(without_the_inventory_there_is_no_report),
        TEST(under_owned_only_what_is_theirs),
        TEST(a_user_without_anything_gets_zeros),
        TEST(the_admin_sees_everything_and_every_word),
        TEST(the_shared_owners_report_does_not_wait_for_the_inventory),
        TEST(the_shared_owners_lines_are_those_of_its_services),
        TEST(who_is_nobody_gets_nothing),
        TEST(what_was_not_taken_is_not_counted),
    };
    int failed;

    if (!fetch_library_init())
        return 1;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    fetch_library_cleanup();
    return failed;
}
