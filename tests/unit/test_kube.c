/* The Kubernetes API: the address, the token and its rotation, the words for what it refuses. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http_server.h"
#include "settings.h"
#include "sources/job.h"
#include "sources/kube.h"
#include "util/arena.h"

enum { PLENTY_MS = 30000 };

struct variables {
    const char *url, *token_file, *ca_file, *host, *port;
};

struct fixture {
    struct arena *arena;
    struct settings *settings;
    struct source_context context;
    struct kube *kube;
    char folder[64], token_file[80];
    size_t calls;
    long status;
    enum fetch_outcome outcome;
    const char *words;
};

static const char *look_up(void *context, const char *name)
{
    const struct variables *variables = context;
    const struct variable rows[] = {
        {"OSCAR_USERNAME", "oscar"},
        {"OSCAR_PASSWORD", "oscar"},
        {"OSCAR_METRICS_KUBE_URL", variables->url},
        {"OSCAR_METRICS_KUBE_TOKEN_FILE", variables->token_file},
        {"OSCAR_METRICS_KUBE_CA_FILE", variables->ca_file},
        {"KUBERNETES_SERVICE_HOST", variables->host},
        {"KUBERNETES_SERVICE_PORT", variables->port},
    };

    return variable_of(rows, COUNT_OF(rows), name);
}

static void write_token(const struct fixture *f, const char *bytes)
{
    FILE *file = fopen(f->token_file, "w");

    assert_non_null(file);
    assert_true(fputs(bytes, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void set_up(struct fixture *f, struct variables variables)
{
    memset(f, 0, sizeof(*f));
    snprintf(f->folder, sizeof(f->folder), "/tmp/test_kube.XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->token_file, sizeof(f->token_file), "%s/token", f->folder);
    if (variables.token_file && variables.token_file[0] == '.')
        variables.token_file = f->token_file;
    f->arena = arena_new();
    f->settings = settings_read(look_up, &variables, stderr);
    assert_non_null(f->settings);
    f->context = (struct source_context){.arena = f->arena,
                                         .fetcher = fetcher_new(NULL),
                                         .settings = f->settings,
                                         .deadline = clock_ms() + PLENTY_MS};
    f->kube = kube_open(&f->context);
}

static void tear_down(struct fixture *f)
{
    fetcher_free(f->context.fetcher);
    settings_release(f->settings);
    arena_free(f->arena);
    unlink(f->token_file);
    rmdir(f->folder);
}

static void take(void *context, const struct fetch_answer *answer)
{
    struct fixture *f = context;

    f->calls++;
    f->status = answer->status;
    f->outcome = answer->outcome;
    f->words = kube_fault(f->arena, answer, "list configmaps in all namespaces");
}

/* The words that say why it could not even be asked; NULL when there was an answer. */
static const char *get(struct fixture *f)
{
    const struct kube_request request = {
        .path = "/api/v1/configmaps?limit=5", .max_bytes = 1000, .deadline = f->context.deadline};
    const char *wrong = kube_get(f->kube, &request, take, f);

    assert_int_equal(f->calls, 0);
    while (fetcher_running(f->context.fetcher) > 0)
        fetcher_wait(f->context.fetcher, -1, PLENTY_MS);
    assert_int_equal(f->calls, wrong ? 0 : 1);
    return wrong;
}

#define OK_REPLY           "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
#define UNAUTHORIZED_REPLY "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\n{}"

static void a_request_has_its_path_and_the_token(void **state)
{
    static const struct http_reply replies[] = {{.bytes = OK_REPLY}};
    struct http_server *server = http_server_start(replies, 1, 1);
    struct fixture f;

    (void)state;
    set_up(&f, (struct variables){.url = http_server_url(server), .token_file = "."});
    write_token(&f, " first.token\n");
    assert_null(get(&f));
    assert_int_equal(f.status, 200);
    assert_null(f.words);
    assert_non_null(strstr(http_server_request(server, 0), "GET /api/v1/configmaps?limit=5 HTTP/1.1\r\n"));
    assert_non_null(strstr(http_server_request(server, 0), "\r\nAuthorization: Bearer first.token\r\n"));
    http_server_stop(server);
    tear_down(&f);
}

static void without_a_token_file_nobody_in_particular_asks(void **state)
{
    static const struct http_reply replies[] = {{.bytes = UNAUTHORIZED_REPLY}};
    struct http_server *server = http_server_start(replies, 1, 1);
    struct fixture f;

    (void)state;
    set_up(&f, (struct variables){.url = http_server_url(server)});
    assert_null(get(&f));
    assert_null(strstr(http_server_request(server, 0), "Authorization"));
    assert_string_equal(f.words, "the Kubernetes API does not accept the token (401): may not list "
                                 "configmaps in all namespaces");
    http_server_stop(server);
    tear_down(&f);
}

/* Replaces the token file as soon as the first request is there. */
struct rotation {
    const struct fixture *fixture;
    size_t requests;
    bool second_was_new;
};

static const char *rotate(void *context, const char *request)
{
    struct rotation *rotation = context;

    if (rotation->requests++ == 0) {
        write_token(rotation->fixture, "second");
        return UNAUTHORIZED_REPLY;
    }
    rotation->second_was_new = strstr(request, "Bearer second\r\n") != NULL;
    return OK_REPLY;
}

static void a_401_reads_the_token_again(void **state)
{
    struct fixture f;
    struct rotation rotation = {.fixture = &f};
    struct http_server *server = http_server_start_choosing(rotate, &rotation);

    (void)state;
    set_up(&f, (struct variables){.url = http_server_url(server), .token_file = "."});
    write_token(&f, "first");
    assert_null(get(&f));
    assert_int_equal(f.status, 200);
    http_server_stop(server);
    assert_int_equal(rotation.requests, 2);
    assert_true(rotation.second_was_new);
    tear_down(&f);
}

static void a_second_401_is_the_answer(void **state)
{
    static const struct http_reply replies[] = {{.bytes = UNAUTHORIZED_REPLY}, {.bytes = UNAUTHORIZED_REPLY}};
    struct http_server *server = http_server_start(replies, 2, 1);
    struct fixture f;

    (void)state;
    set_up(&f, (struct variables){.url = http_server_url(server), .token_file = "."});
    write_token(&f, "first");
    assert_null(get(&f));
    assert_int_equal(f.status, 401);
    http_server_stop(server);
    tear_down(&f);
}

static const struct {
    const char *token, *words;
    int line;
} token_rows[] = {
    {NULL, "there is no such file", __LINE__},
    {"", "it is empty", __LINE__},
    {" \n", "it is empty", __LINE__},
    {"two words", "it holds more than a token", __LINE__},
    {"line\nX-Other: header", "it holds more than a token", __LINE__},
    {"\xc3\xa9", "it holds more than a token", __LINE__},
};

/* The port is nobody's: nothing must be sent there. */
static void without_a_token_nothing_is_asked(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(token_rows); i++) {
        struct fixture f;
        const char *words, *expected;

        set_up(&f, (struct variables){.url = "https://127.0.0.1:1", .token_file = "."});
        if (token_rows[i].token)
            write_token(&f, token_rows[i].token);
        expected = arena_format(f.arena, "the Kubernetes API cannot be asked: the token file %s: %s",
                                f.token_file, token_rows[i].words);
        words = get(&f);
        if (words == NULL || strcmp(words, expected) != 0)
            fail_msg("line %d: %s", token_rows[i].line, words ? words : "was asked");
        tear_down(&f);
    }
}

static void without_its_ca_nothing_is_asked(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f, (struct variables){.url = "https://127.0.0.1:1", .ca_file = "/nowhere/ca.crt"});
    assert_string_equal(
        get(&f), "the Kubernetes API cannot be asked: the CA file /nowhere/ca.crt: there is no such file");
    tear_down(&f);
}

/* In a pod the account's files are asked for; this machine is none. */
static void in_a_pod_the_account_s_files_are_used(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f, (struct variables){.host = "10.0.0.1"});
    assert_true(kube_is_configured(f.settings));
    assert_string_equal(get(&f),
                        "the Kubernetes API cannot be asked: the CA file "
                        "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt: there is no such file");
    tear_down(&f);
}

static const struct {
    struct variables variables;
    const char *base; /* of what is asked for */
    int line;
} address_rows[] = {
    {{.host = "10.96.0.1", .port = "6443"}, "https://10.96.0.1:6443", __LINE__},
    {{.host = "10.96.0.1"}, "https://10.96.0.1:443", __LINE__},
    {{.host = "fd00::1", .port = "443"}, "https://[fd00::1]:443", __LINE__},
    {{.host = "[fd00::1]", .port = "443"}, "https://[fd00::1]:443", __LINE__},
    {{.host = "kubernetes.default.svc", .port = "443"}, "https://kubernetes.default.svc:443", __LINE__},
    {{.url = "https://api.example:6443/", .host = "10.96.0.1"}, "https://api.example:6443", __LINE__},
    {{.url = "https://rancher.example/k8s/clusters/c-1//"},
     "https://rancher.example/k8s/clusters/c-1",
     __LINE__},
    {{.url = "http://127.0.0.1:8001"}, "http://127.0.0.1:8001", __LINE__},
};

static void where_the_api_is(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(address_rows); i++) {
        struct fixture f;

        set_up(&f, address_rows[i].variables);
        if (strcmp(kube_base(f.kube), address_rows[i].base) != 0)
            fail_msg("line %d: %s", address_rows[i].line, kube_base(f.kube));
        tear_down(&f);
    }
}

static void nowhere(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f, (struct variables){.port = "443"});
    assert_false(kube_is_configured(f.settings));
    tear_down(&f);
}

#define FORBIDDEN_BY(who)                                                                                    \
    "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":"         \
    "\"configmaps is forbidden: User \\\"" who "\\\" cannot list resource \\\"configmaps\\\" in API "        \
    "group \\\"\\\" at the cluster scope\",\"reason\":\"Forbidden\",\"code\":403}"

static const struct {
    enum fetch_outcome outcome;
    long status;
    const char *body, *why;
    const char *words;
    int line;
} fault_rows[] = {
    {.status = 200, .words = NULL, .line = __LINE__},
    {.outcome = FETCH_REFUSED,
     .why = "connection refused",
     .words = "cannot list pods: the Kubernetes API: connection refused",
     .line = __LINE__},
    {.status = 403,
     .body = FORBIDDEN_BY("system:serviceaccount:oscar:default"),
     .words = "may not list pods: the Kubernetes API refuses it to system:serviceaccount:oscar:default (403)",
     .line = __LINE__},
    {.status = 403,
     .body = FORBIDDEN_BY("system:anonymous"),
     .words = "may not list pods: the Kubernetes API refuses it to system:anonymous (403)",
     .line = __LINE__},
    {.status = 403,
     .body = FORBIDDEN_BY("eyJhbGciOiJ.secret"),
     .words = "may not list pods: the Kubernetes API refuses it to this account (403)",
     .line = __LINE__},
    {.status = 403,
     .body = FORBIDDEN_BY("system:x; DROP"),
     .words = "may not list pods: the Kubernetes API refuses it to this account (403)",
     .line = __LINE__},
    {.status = 403,
     .body = "{\"message\":\"User \\\"system:x\"}",
     .words = "may not list pods: the Kubernetes API refuses it to this account (403)",
     .line = __LINE__},
    {.status = 403,
     .body = "<html>",
     .words = "may not list pods: the Kubernetes API refuses it to this account (403)",
     .line = __LINE__},
    {.status = 404,
     .body = "404 page not found",
     .words = "cannot list pods: there is no such thing (404), or the URL is no Kubernetes API",
     .line = __LINE__},
    {.status = 410,
     .body = "{\"reason\":\"Expired\"}",
     .words = "cannot list pods: the list was gone before it was read to its end (410)",
     .line = __LINE__},
    {.status = 429, .words = "cannot list pods: the Kubernetes API is too busy (429)", .line = __LINE__},
    {.status = 500,
     .body = "{\"reason\":\"InternalError\",\"message\":\"password: x\"}",
     .words = "cannot list pods: the Kubernetes API answered 500 InternalError",
     .line = __LINE__},
    {.status = 503,
     .body = "{\"reason\":\"a secret 1\"}",
     .words = "cannot list pods: the Kubernetes API answered 503",
     .line = __LINE__},
    {.status = 302,
     .body = "{\"reason\":7}",
     .words = "cannot list pods: the Kubernetes API answered 302",
     .line = __LINE__},
};

static void faults_have_words(void **state)
{
    struct arena *arena = arena_new();

    (void)state;
    for (size_t i = 0; i < COUNT_OF(fault_rows); i++) {
        const struct fetch_answer answer = {.outcome = fault_rows[i].outcome,
                                            .status = fault_rows[i].status,
                                            .body = text_of(fault_rows[i].body),
                                            .why = fault_rows[i].why};
        const char *words = kube_fault(arena, &answer, "list pods");

        if (words == NULL || fault_rows[i].words == NULL ? words != fault_rows[i].words
                                                         : strcmp(words, fault_rows[i].words) != 0)
            fail_msg("line %d: %s", fault_rows[i].line, words ? words : "fine");
    }
    arena_free(arena);
}

static char *repeated(struct arena *arena, char c, size_t count)
{
    char *out = arena_alloc(arena, count + 1, 1);

    memset(out, c, count);
    return out;
}

/* A word of the API is told up to a length, an account too; of a large answer none is. */
static void words_of_refusals_are_bounded(void **state)
{
    struct arena *arena = arena_new();

    (void)state;
    for (size_t more = 0; more <= 1; more++) {
        const char *reason = repeated(arena, 'a', KUBE_REASON_MAX_BYTES + more);
        const char *account = arena_format(
            arena, "system:%s", repeated(arena, 'a', KUBE_ACCOUNT_MAX_BYTES - strlen("system:") + more));
        const char *short_status = "{\"reason\":\"Oh\"}";
        const char *blanks = repeated(arena, ' ', KUBE_STATUS_MAX_BYTES + more - strlen(short_status));
        struct fetch_answer answer = {.outcome = FETCH_ANSWERED, .status = 500};

        answer.body = text_of(arena_format(arena, "{\"reason\":\"%s\"}", reason));
        assert_string_equal(
            kube_fault(arena, &answer, "x"),
            more ? "cannot x: the Kubernetes API answered 500"
                 : arena_format(arena, "cannot x: the Kubernetes API answered 500 %s", reason));
        answer.body = text_of(arena_format(arena, "%s%s", short_status, blanks));
        assert_string_equal(kube_fault(arena, &answer, "x"),
                            more ? "cannot x: the Kubernetes API answered 500"
                                 : "cannot x: the Kubernetes API answered 500 Oh");
        answer.status = 403;
        answer.body = text_of(arena_format(arena, "{\"message\":\"User \\\"%s\\\" cannot\"}", account));
        assert_string_equal(kube_fault(arena, &answer, "list pods"),
                            arena_format(arena,
                                         "may not list pods: the Kubernetes API refuses it to %s (403)",
                                         more ? "this account" : account));
    }
    arena_free(arena);
}

static void a_token_s_file_has_a_length(void **state)
{
    static const struct http_reply replies[] = {{.bytes = OK_REPLY}};
    struct http_server *server = http_server_start(replies, 1, 1);
    struct fixture f;

    (void)state;
    set_up(&f, (struct variables){.url = http_server_url(server), .token_file = "."});
    write_token(&f, repeated(f.arena, 't', KUBE_TOKEN_MAX_BYTES));
    assert_string_equal(get(&f),
                        arena_format(f.arena,
                                     "the Kubernetes API cannot be asked: the token file %s: it is too "
                                     "large for a token",
                                     f.token_file));
    write_token(&f, repeated(f.arena, 't', KUBE_TOKEN_MAX_BYTES - 1));
    f.kube = kube_open(&f.context);
    assert_null(get(&f));
    assert_int_equal(f.status, 200);
    http_server_stop(server);
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_has_its_path_and_the_token),
        cmocka_unit_test(without_a_token_file_nobody_in_particular_asks),
        cmocka_unit_test(a_401_reads_the_token_again),
        cmocka_unit_test(a_second_401_is_the_answer),
        cmocka_unit_test(without_a_token_nothing_is_asked),
        cmocka_unit_test(without_its_ca_nothing_is_asked),
        cmocka_unit_test(in_a_pod_the_account_s_files_are_used),
        cmocka_unit_test(where_the_api_is),
        cmocka_unit_test(nowhere),
        cmocka_unit_test(faults_have_words),
        cmocka_unit_test(words_of_refusals_are_bounded),
        cmocka_unit_test(a_token_s_file_has_a_length),
    };

    return cmocka_run_group_tests(tests, init_library, cleanup_library);
}
