/* Fetches: outcomes, limits, credentials, and the one call that waits. */
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http_server.h"
#include "net/client.h"
#include "net/fetch.h"
#include "net/form.h"
#include "net/traffic.h"
#include "util/buf.h"
#include "util/timestamp.h"

#define OK_REPLY "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

enum { PLENTY_MS = 30000 };

struct result {
    size_t calls;
    enum fetch_outcome outcome;
    long status;
    char body[64], why[256];
    size_t length;
    int64_t retry_after_ms;
};

static void keep_result(void *context, const struct fetch_answer *answer)
{
    struct result *result = context;

    result->calls++;
    result->outcome = answer->outcome;
    result->status = answer->status;
    result->length = answer->body.length;
    result->retry_after_ms = answer->retry_after_ms;
    snprintf(result->body, sizeof(result->body), "%.*s", (int)answer->body.length, answer->body.data);
    snprintf(result->why, sizeof(result->why), "%s", answer->why ? answer->why : "");
}

static struct fetch_request request_of(const char *url)
{
    return (struct fetch_request){.url = url, .max_bytes = 1000, .deadline = clock_ms() + PLENTY_MS};
}

static void wait_for_all(struct fetcher *fetcher)
{
    while (fetcher_running(fetcher) > 0)
        fetcher_wait(fetcher, -1, PLENTY_MS);
}

static struct result fetch_once(const struct fetch_request *request)
{
    struct fetcher *fetcher = fetcher_new(NULL);
    struct result result = {0};

    fetch_start(fetcher, request, keep_result, &result);
    assert_int_equal(result.calls, 0);
    wait_for_all(fetcher);
    fetcher_free(fetcher);
    assert_int_equal(result.calls, 1);
    return result;
}

static const struct {
    struct http_reply reply;
    enum fetch_outcome outcome;
    long status;
    const char *body, *why;
    int line;
} outcome_rows[] = {
    {{.bytes = OK_REPLY}, FETCH_ANSWERED, 200, "ok", "", __LINE__},
    {{.bytes = "HTTP/1.1 500 Oh\r\nContent-Length: 4\r\n\r\noops"},
     FETCH_ANSWERED,
     500,
     "oops",
     "",
     __LINE__},
    {{.bytes = "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"}, FETCH_ANSWERED, 404, "", "", __LINE__},
    {{.bytes = "HTTP/1.1 200 OK\r\n\r\nuntil the end"}, FETCH_ANSWERED, 200, "until the end", "", __LINE__},
    {{.bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"},
     FETCH_ANSWERED,
     200,
     "abc",
     "",
     __LINE__},
    {{.bytes = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n"},
     FETCH_ANSWERED,
     302,
     "",
     "",
     __LINE__},
    {{.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\ncut"},
     FETCH_BROKEN,
     0,
     "",
     "the connection broke: Transferred a partial file",
     __LINE__},
    {{.bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"},
     FETCH_BROKEN,
     0,
     "",
     "the connection broke: Transferred a partial file",
     __LINE__},
    {{.bytes = "SSH-2.0-OpenSSH_9.2\r\n"}, FETCH_BROKEN, 0, "", "the answer is no HTTP", __LINE__},
    {{.bytes = "HTTP/200 OK\r\n\r\n{}"}, FETCH_BROKEN, 0, "", "the answer is no HTTP", __LINE__},
    {{.bytes = "HTTP/1.1 000 No\r\n\r\n{}"}, FETCH_BROKEN, 0, "", "the answer is no HTTP", __LINE__},
    {{.bytes = ""}, FETCH_BROKEN, 0, "", "the connection was closed without an answer", __LINE__},
    {{.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde"},
     FETCH_TOO_LARGE,
     0,
     "",
     "the answer is larger than 4 bytes",
     __LINE__},
    {{.bytes = "HTTP/1.1 200 OK\r\n\r\nabcde"},
     FETCH_TOO_LARGE,
     0,
     "",
     "the answer is larger than 4 bytes",
     __LINE__},
    {{.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd"},
     FETCH_ANSWERED,
     200,
     "abcd",
     "",
     __LINE__},
};

static void answers_become_outcomes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(outcome_rows); i++) {
        struct http_server *server = http_server_start(&outcome_rows[i].reply, 1, 0);
        struct fetch_request request = request_of(http_server_url(server));
        struct result result;

        if (outcome_rows[i].outcome == FETCH_TOO_LARGE || strcmp(outcome_rows[i].body, "abcd") == 0)
            request.max_bytes = 4;
        result = fetch_once(&request);
        if (result.outcome != outcome_rows[i].outcome || result.status != outcome_rows[i].status ||
            strcmp(result.body, outcome_rows[i].body) != 0 || strcmp(result.why, outcome_rows[i].why) != 0)
            fail_msg("row of line %d: %d %ld \"%s\" \"%s\"", outcome_rows[i].line, (int)result.outcome,
                     result.status, result.body, result.why);
        http_server_stop(server);
    }
}

/* What take() got; it says "enough" once it has `enough` bytes. */
struct taken {
    struct result result; /* first: keep_result() gets the same context */
    size_t calls, bytes, enough;
    char first[16];
};

static bool take_piece(void *context, struct text piece)
{
    struct taken *taken = context;

    if (taken->bytes == 0)
        snprintf(taken->first, sizeof(taken->first), "%.*s", (int)piece.length, piece.data);
    taken->calls++;
    taken->bytes += piece.length;
    return taken->bytes < taken->enough;
}

enum { LARGE = 200000 };

/* In chunks or with a length; `cut`: some of it never comes. */
static char *large_reply(const char *head, bool cut)
{
    char *bytes = calloc(1, LARGE + 300), *at = bytes;

    assert_non_null(bytes);
    at += snprintf(bytes, 300, "%s", head);
    memset(at, 'x', LARGE - (cut ? 1000 : 0));
    return bytes;
}

#define LARGE_HEAD(status) "HTTP/1.1 " status "\r\nContent-Length: 200000\r\n\r\n"

static const struct {
    const char *head;
    bool cut;
    size_t enough;
    enum fetch_outcome outcome;
    long status;
    size_t bytes; /* that take() gets at least; 0: it is not called */
    const char *why;
    int line;
} taken_rows[] = {
    {LARGE_HEAD("200 OK"), false, SIZE_MAX, FETCH_ANSWERED, 200, LARGE, "", __LINE__},
    {LARGE_HEAD("200 OK"), true, SIZE_MAX, FETCH_BROKEN, 0, LARGE - 1000,
     "the connection broke: Transferred a partial file", __LINE__},
    {LARGE_HEAD("200 OK"), false, 1, FETCH_ENOUGH, 0, 1, "no more was wanted", __LINE__},
    {LARGE_HEAD("206 Partial"), false, SIZE_MAX, FETCH_TOO_LARGE, 0, 0,
     "the answer is larger than 1000 bytes", __LINE__},
    {LARGE_HEAD("500 Oh"), false, SIZE_MAX, FETCH_TOO_LARGE, 0, 0, "the answer is larger than 1000 bytes",
     __LINE__},
};

static void a_body_may_be_taken_as_it_comes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(taken_rows); i++) {
        char *bytes = large_reply(taken_rows[i].head, taken_rows[i].cut);
        struct http_reply reply = {.bytes = bytes};
        struct http_server *server = http_server_start(&reply, 1, 1);
        struct fetch_request request = request_of(http_server_url(server));
        struct fetcher *fetcher = fetcher_new(NULL);
        struct taken taken = {.enough = taken_rows[i].enough};
        bool fine;

        request.take = take_piece;
        fetch_start(fetcher, &request, keep_result, &taken);
        wait_for_all(fetcher);
        fetcher_free(fetcher);
        fine = taken.result.calls == 1 && taken.result.outcome == taken_rows[i].outcome &&
               taken.result.status == taken_rows[i].status && taken.result.length == 0 &&
               taken.bytes >= taken_rows[i].bytes && (taken_rows[i].bytes > 0) == (taken.calls > 0) &&
               (taken_rows[i].enough > 1 || taken.calls == 1) &&
               strcmp(taken.result.why, taken_rows[i].why) == 0;
        if (!fine)
            fail_msg("row at line %d: outcome %d, status %ld, %zu bytes in %zu calls, %s", taken_rows[i].line,
                     (int)taken.result.outcome, taken.result.status, taken.bytes, taken.calls,
                     taken.result.why);
        http_server_stop(server);
        free(bytes);
    }
}

static void a_refusal_is_kept_though_the_body_would_be_taken(void **state)
{
    static const struct http_reply replies[] = {
        {.bytes = "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"}};
    struct http_server *server = http_server_start(replies, 1, 1);
    struct fetch_request request = request_of(http_server_url(server));
    struct fetcher *fetcher = fetcher_new(NULL);
    struct taken taken = {.enough = SIZE_MAX};

    (void)state;
    request.take = take_piece;
    fetch_start(fetcher, &request, keep_result, &taken);
    wait_for_all(fetcher);
    fetcher_free(fetcher);
    assert_int_equal(taken.calls, 0);
    assert_int_equal(taken.result.status, 403);
    assert_string_equal(taken.result.body, "no");
    http_server_stop(server);
}

static void a_connection_that_is_closed_at_once_is_broken(void **state)
{
    static const struct http_reply reply = {.close_at_once = true};
    struct http_server *server = http_server_start(&reply, 1, 0);
    struct fetch_request request = request_of(http_server_url(server));
    struct result result = fetch_once(&request);

    (void)state;
    assert_int_equal(result.outcome, FETCH_BROKEN); /* with or without a reset, as the timing has it */
    assert_int_not_equal(result.why[0], '\0');
    http_server_stop(server);
}

static void endless_headers_are_cut(void **state)
{
    static char bytes[400 * 1024] = "HTTP/1.1 200 OK\r\n";
    const struct http_reply reply = {.bytes = bytes};
    struct http_server *server;
    struct result result;
    size_t length = strlen(bytes);

    (void)state;
    while (length + 64 < sizeof(bytes))
        length += (size_t)snprintf(bytes + length, sizeof(bytes) - length, "X-Filler: %040d\r\n", 0);
    server = http_server_start(&reply, 1, 0);
    result = fetch_once(&(struct fetch_request){
        .url = http_server_url(server), .max_bytes = 1000, .deadline = clock_ms() + PLENTY_MS});
    assert_int_equal(result.outcome, FETCH_BROKEN);
    assert_string_equal(result.why, "the headers of the answer are too large");
    http_server_stop(server);
}

static void no_answer_before_the_deadline(void **state)
{
    static const struct http_reply never = {.bytes = NULL};
    struct http_server *server = http_server_start(&never, 1, 0);
    struct fetch_request request = request_of(http_server_url(server));
    struct result result;
    int64_t start = clock_ms();

    (void)state;
    request.deadline = start + 80;
    result = fetch_once(&request);
    assert_int_equal(result.outcome, FETCH_TIMEOUT);
    assert_string_equal(result.why, "no answer before the deadline");
    assert_true(clock_ms() - start < PLENTY_MS / 2);

    request.deadline = start; /* passed already */
    result = fetch_once(&request);
    assert_int_equal(result.outcome, FETCH_TIMEOUT);
    http_server_stop(server);
}

/* A port that was just free: nobody listens there. */
static int bind_port(struct sockaddr_in *address)
{
    socklen_t length = sizeof(*address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    assert_int_equal(bind(fd, (struct sockaddr *)address, length), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)address, &length), 0);
    return fd;
}

static void connection_refused(void **state)
{
    struct sockaddr_in address;
    int fd = bind_port(&address); /* bound, and not listening */
    struct fetch_request request;
    struct result result;
    char url[64];

    (void)state;
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/x", (unsigned)ntohs(address.sin_port));
    request = request_of(url);
    result = fetch_once(&request);
    assert_int_equal(result.outcome, FETCH_REFUSED);
    assert_string_equal(result.why, "connection refused");
    close(fd);
}

static void unusable_urls(void **state)
{
    static const char *const urls[] = {
        "",           "no url",      "ftp://127.0.0.1/",      "file:///etc/passwd",
        "http://",    "localhost:9", "http://user:pw@/",      "http://a b/",
        "gopher://x", "http://[::",  "http://127.0.0.1:99999"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(urls); i++) {
        struct fetch_request request = request_of(urls[i]);
        struct result result = fetch_once(&request);

        if (result.outcome != FETCH_INVALID || result.why[0] == '\0' || strstr(result.why, "pw"))
            fail_msg("\"%s\": %d %s", urls[i], (int)result.outcome, result.why);
    }
}

static void credentials_and_headers(void **state)
{
    static const struct {
        struct fetch_access access;
        const char *user_info, *sent, *not_sent;
        int line;
    } rows[] = {
        {{0}, "", "User-Agent: oscar-metrics\r\n", "Authorization:", __LINE__},
        {{.token = "t0k"}, "", "Authorization: Bearer t0k\r\n", "Basic", __LINE__},
        {{.username = "u", .password = "p:w"}, "", "Authorization: Basic dTpwOnc=\r\n", "Bearer", __LINE__},
        {{.username = "u"}, "", "Authorization: Basic dTo=\r\n", "Bearer", __LINE__},
        {{.token = "t0k", .username = "u", .password = "p"},
         "",
         "Authorization: Bearer t0k\r\n",
         "Basic",
         __LINE__},
        {{.token = "", .username = "", .tenant = ""}, "", "Host:", "X-Scope-OrgID", __LINE__},
        {{.tenant = "team-a"}, "", "X-Scope-OrgID: team-a\r\n", "Authorization:", __LINE__},
        {{0}, "u:p@", "Authorization: Basic dTpw\r\n", "Bearer", __LINE__},
        {{.token = "t0k"}, "u:p@", "Authorization: Bearer t0k\r\n", "Basic", __LINE__},
    };
    static const struct http_reply reply = {.bytes = OK_REPLY};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct http_server *server = http_server_start(&reply, 1, 0);
        char url[128];
        struct fetch_request request;
        struct result result;
        const char *sent = http_server_request(server, 0);

        snprintf(url, sizeof(url), "http://%s%s/x", rows[i].user_info,
                 http_server_url(server) + strlen("http://"));
        request = request_of(url);
        request.access = &rows[i].access;
        result = fetch_once(&request);
        if (result.status != 200 || !strstr(sent, rows[i].sent) || strstr(sent, rows[i].not_sent) ||
            strncmp(sent, "GET /x HTTP/1.1\r\n", 17) != 0)
            fail_msg("row of line %d: %s", rows[i].line, sent);
        http_server_stop(server);
    }
}

static void a_credential_cannot_bring_a_header(void **state)
{
    static const struct fetch_access accesses[] = {{.token = "t\r\nX-Other: 1"},
                                                   {.username = "a\nb"},
                                                   {.username = "a", .password = "\x01"},
                                                   {.tenant = "a\rb"}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(accesses); i++) {
        struct fetch_request request = request_of("http://127.0.0.1:9/");
        struct result result;

        request.access = &accesses[i];
        result = fetch_once(&request);
        assert_int_equal(result.outcome, FETCH_INVALID);
        assert_string_equal(result.why, "a control character in the credentials or the tenant");
    }
}

static void a_body_is_posted_as_a_form(void **state)
{
    static const struct http_reply reply = {.bytes = OK_REPLY};
    struct http_server *server = http_server_start(&reply, 1, 0);
    struct fetch_request request = request_of(http_server_url(server));
    const char *sent = http_server_request(server, 0);
    struct buf form;

    (void)state;
    buf_init(&form, 1000);
    form_add(&form, "query", TEXT_LITERAL("a b&c=\"\xc3\xa9\"+%~"));
    form_add(&form, "time", TEXT_LITERAL("-1.5"));
    request.body = buf_text(&form);
    assert_int_equal(fetch_once(&request).status, 200);
    assert_int_equal(strncmp(sent, "POST / HTTP/1.1\r\n", 17), 0);
    assert_non_null(strstr(sent, "Content-Type: application/x-www-form-urlencoded\r\n"));
    assert_null(strstr(sent, "Expect"));
    assert_string_equal(strstr(sent, "\r\n\r\n") + 4, "query=a%20b%26c%3D%22%C3%A9%22%2B%25~&time=-1.5");
    buf_free(&form);
    http_server_stop(server);
}

static void the_environment_s_proxy_is_not_used(void **state)
{
    static const struct http_reply reply = {.bytes = OK_REPLY};
    struct http_server *server = http_server_start(&reply, 1, 0);
    struct fetch_request request = request_of(http_server_url(server));

    (void)state;
    setenv("http_proxy", "http://127.0.0.1:9", 1);
    setenv("all_proxy", "http://127.0.0.1:9", 1);
    assert_int_equal(fetch_once(&request).status, 200);
    unsetenv("http_proxy");
    unsetenv("all_proxy");
    http_server_stop(server);
}

static void tls_to_somebody_who_does_not_speak_it(void **state)
{
    static const struct http_reply reply = {.bytes = OK_REPLY};
    struct http_server *server = http_server_start(&reply, 1, 0);
    const struct fetch_access access = {.ca_file = "/nonexistent/ca.pem"};
    char url[128];
    struct fetch_request request;
    struct result result;

    (void)state;
    snprintf(url, sizeof(url), "https://u:secret@%s", http_server_url(server) + strlen("http://"));
    request = request_of(url);
    request.access = &access;
    result = fetch_once(&request);
    assert_int_equal(result.outcome, FETCH_TLS);
    assert_string_equal(result.why, "the CA file cannot be used");
    http_server_stop(server);
}

static void connections_are_used_again(void **state)
{
    static const struct http_reply replies[] = {{.bytes = OK_REPLY, .keep = true}, {.bytes = OK_REPLY}};
    struct http_server *server = http_server_start(replies, 2, 0);
    struct fetcher *fetcher = fetcher_new(NULL);
    struct fetch_request request = request_of(http_server_url(server));
    struct result first = {0}, second = {0};

    (void)state;
    fetch_start(fetcher, &request, keep_result, &first);
    wait_for_all(fetcher);
    fetch_start(fetcher, &request, keep_result, &second);
    wait_for_all(fetcher);
    assert_int_equal(first.status, 200);
    assert_int_equal(second.status, 200);
    fetcher_free(fetcher);
    http_server_stop(server);
}

struct chain {
    struct fetcher *fetcher;
    struct fetch_request request;
    size_t left;
    struct result last;
};

static void start_another(void *context, const struct fetch_answer *answer)
{
    struct chain *chain = context;

    keep_result(&chain->last, answer);
    if (chain->left-- > 1)
        fetch_start(chain->fetcher, &chain->request, start_another, chain);
}

static void done_may_start_others(void **state)
{
    static const struct http_reply replies[] = {
        {.bytes = OK_REPLY}, {.bytes = OK_REPLY}, {.bytes = OK_REPLY}};
    struct http_server *server = http_server_start(replies, 3, 0);
    struct fetcher *fetcher = fetcher_new(NULL);
    struct chain chain = {.fetcher = fetcher, .request = request_of(http_server_url(server)), .left = 3};
    struct chain invalid = {.fetcher = fetcher, .request = request_of("ftp://x"), .left = 5};

    (void)state;
    fetch_start(fetcher, &chain.request, start_another, &chain);
    fetch_start(fetcher, &invalid.request, start_another, &invalid);
    wait_for_all(fetcher);
    assert_int_equal(chain.last.calls, 3);
    assert_int_equal(chain.last.status, 200);
    assert_int_equal(invalid.last.calls, 5);
    fetcher_free(fetcher);
    http_server_stop(server);
}

static void cancelling_ends_all(void **state)
{
    static const struct http_reply never[] = {{.bytes = NULL}, {.bytes = NULL}};
    struct http_server *server = http_server_start(never, 2, 0);
    struct fetcher *fetcher = fetcher_new(NULL);
    struct fetch_request request = request_of(http_server_url(server)), invalid = request_of("");
    struct result results[4] = {0};

    (void)state;
    fetch_start(fetcher, &request, keep_result, &results[0]);
    fetch_start(fetcher, &invalid, keep_result, &results[1]);
    fetch_start(fetcher, &request, keep_result, &results[2]);
    assert_int_equal(fetcher_running(fetcher), 3);
    fetcher_cancel(fetcher);
    assert_int_equal(fetcher_running(fetcher), 0);
    fetch_start(fetcher, &request, keep_result, &results[3]);
    fetcher_free(fetcher);
    for (size_t i = 0; i < COUNT_OF(results); i++) {
        assert_int_equal(results[i].calls, 1);
        assert_int_equal(results[i].outcome, FETCH_CANCELLED);
        assert_string_equal(results[i].why, "cancelled");
    }
    http_server_stop(server);
}

/* A port of this machine, listening or not. */
static int bound_socket(char url[64])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    snprintf(url, 64, "http://127.0.0.1:%u/x", (unsigned)ntohs(address.sin_port));
    return fd;
}

static struct result fetch_shared_once(struct fetch_shared *shared, const char *url)
{
    struct fetcher *fetcher = fetcher_new(shared);
    struct fetch_request request = request_of(url);
    struct result result = {0};

    fetch_start(fetcher, &request, keep_result, &result);
    wait_for_all(fetcher);
    fetcher_free(fetcher);
    return result;
}

static void a_backend_that_cannot_be_connected_to_is_left_alone_by_all(void **state)
{
    static const char why[] = "connection refused (tried ";
    static const struct http_reply reply = {.bytes = OK_REPLY};
    struct http_server *server = http_server_start(&reply, 1, 0);
    struct fetch_shared *shared = fetch_shared_new();
    char url[64];
    int port = bound_socket(url);
    struct result result;

    (void)state;
    assert_string_equal(fetch_shared_once(shared, url).why, "connection refused");
    result = fetch_shared_once(shared, url);
    assert_int_equal(result.calls, 1);
    assert_int_equal(result.outcome, FETCH_REFUSED);
    assert_int_equal(strncmp(result.why, why, sizeof(why) - 1), 0);
    assert_in_range(result.retry_after_ms, 1, 3000);
    /* Not even when somebody listens again; others are not concerned. */
    assert_int_equal(listen(port, 1), 0);
    assert_int_equal(fetch_shared_once(shared, url).outcome, FETCH_REFUSED);
    assert_int_equal(fetch_shared_once(shared, http_server_url(server)).outcome, FETCH_ANSWERED);
    close(port);
    fetch_shared_free(shared);
    http_server_stop(server);
}

static void a_renewal_has_backends_tried_at_once(void **state)
{
    struct fetch_shared *shared = fetch_shared_new();
    char url[64];
    int port = bound_socket(url);

    (void)state;
    assert_string_equal(fetch_shared_once(shared, url).why, "connection refused");
    assert_int_not_equal(fetch_shared_once(shared, url).retry_after_ms, 0);
    fetch_shared_renew(shared);
    assert_string_equal(fetch_shared_once(shared, url).why, "connection refused");
    close(port);
    fetch_shared_free(shared);
}

static void an_answer_that_comes_after_all_ends_that(void **state)
{
    struct fetch_shared *shared = fetch_shared_new();
    struct fetcher *fetcher = fetcher_new(shared);
    struct result slow = {0};
    struct fetch_request request;
    char url[64];
    int port = bound_socket(url), connection;

    (void)state;
    assert_int_equal(listen(port, 1), 0);
    request = request_of(url);
    fetch_start(fetcher, &request, keep_result, &slow);
    while ((connection = accept4(port, NULL, NULL, SOCK_NONBLOCK)) < 0)
        fetcher_wait(fetcher, port, PLENTY_MS);
    close(port);
    assert_string_equal(fetch_shared_once(shared, url).why, "connection refused");
    assert_int_not_equal(fetch_shared_once(shared, url).retry_after_ms, 0);
    assert_int_equal(send(connection, OK_REPLY, strlen(OK_REPLY), MSG_NOSIGNAL), (ssize_t)strlen(OK_REPLY));
    wait_for_all(fetcher);
    assert_int_equal(slow.outcome, FETCH_ANSWERED);
    assert_string_equal(fetch_shared_once(shared, url).why, "connection refused");
    close(connection);
    fetcher_free(fetcher);
    fetch_shared_free(shared);
}

static void *wake(void *fetcher)
{
    fetcher_wake(fetcher);
    return NULL;
}

static void waiting_ends_by_the_watched_descriptor_and_by_a_wake(void **state)
{
    static const struct http_reply never = {.bytes = NULL};
    struct http_server *server = http_server_start(&never, 1, 0);
    struct fetcher *fetcher = fetcher_new(NULL);
    struct fetch_request request = request_of(http_server_url(server));
    struct result result = {0};
    int64_t start = clock_ms();
    pthread_t thread;
    int ends[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    close(ends[1]); /* the client went away */
    fetcher_wait(fetcher, ends[0], PLENTY_MS);
    fetch_start(fetcher, &request, keep_result, &result);
    fetcher_wait(fetcher, ends[0], PLENTY_MS);
    assert_int_equal(pthread_create(&thread, NULL, wake, fetcher), 0);
    fetcher_wait(fetcher, -1, PLENTY_MS);
    pthread_join(thread, NULL);
    assert_int_equal(result.calls, 0);
    assert_true(clock_ms() - start < PLENTY_MS);
    fetcher_free(fetcher);
    close(ends[0]);
    http_server_stop(server);
}

static void a_pause_that_a_server_asks_for_has_an_end(void **state)
{
    static const struct http_reply reply = {
        .bytes = "HTTP/1.1 503 Oh\r\nRetry-After: 86401\r\nContent-Length: 0\r\n\r\n"};
    struct http_server *server = http_server_start(&reply, 1, 0);
    struct fetch_request request = request_of(http_server_url(server));

    (void)state;
    assert_int_equal(fetch_once(&request).retry_after_ms, (int64_t)FETCH_RETRY_AFTER_MAX_SECONDS * 1000);
    http_server_stop(server);
}

static void a_header_that_is_sent_has_a_length(void **state)
{
    static char token[FETCH_HEADER_MAX_BYTES];
    const struct fetch_access access = {.token = token};
    struct fetch_request request = request_of("http://127.0.0.1:1/");
    struct result result;

    (void)state;
    request.access = &access;
    memset(token, 't', sizeof(token) - 1 - strlen("Authorization: Bearer "));
    result = fetch_once(&request);
    assert_int_equal(result.outcome, FETCH_REFUSED);
    memset(token, 't', sizeof(token) - 1);
    result = fetch_once(&request);
    assert_int_equal(result.outcome, FETCH_INVALID);
    assert_string_equal(result.why, "a header cannot be made");
}

/* A queue that is full lets nobody connect, and says nothing. */
static void who_does_not_let_anybody_connect_is_soon_given_up(void **state)
{
    struct sockaddr_in address;
    int fd = bind_port(&address), waiting[2];
    struct fetch_request request;
    struct result result;
    int64_t start;
    char url[64];

    (void)state;
    assert_int_equal(listen(fd, 0), 0);
    for (size_t i = 0; i < COUNT_OF(waiting); i++) {
        waiting[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (connect(waiting[i], (struct sockaddr *)&address, sizeof(address)) != 0)
            assert_int_equal(errno, EINPROGRESS);
    }
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/x", (unsigned)ntohs(address.sin_port));
    request = request_of(url);
    start = clock_ms();
    result = fetch_once(&request);
    assert_int_equal(result.outcome, FETCH_REFUSED);
    assert_in_range(clock_ms() - start, FETCH_CONNECT_MS, PLENTY_MS / 2);
    for (size_t i = 0; i < COUNT_OF(waiting); i++)
        close(waiting[i]);
    close(fd);
}

/* One more server is asked than connections are kept: one is closed (of those that were idle the longest). */
static void connections_that_are_kept_are_bounded(void **state)
{
    struct fetcher *fetcher = fetcher_new(NULL);
    int listening[FETCH_KEPT_CONNECTIONS_MAX + 1], connections[COUNT_OF(listening)];
    char bytes[1024], url[64];
    size_t closed = 0;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(listening); i++) {
        struct sockaddr_in address;
        struct result result = {0};
        struct fetch_request request;

        listening[i] = bind_port(&address);
        assert_int_equal(listen(listening[i], 1), 0);
        snprintf(url, sizeof(url), "http://127.0.0.1:%u/x", (unsigned)ntohs(address.sin_port));
        request = request_of(url);
        fetch_start(fetcher, &request, keep_result, &result);
        connections[i] = -1;
        while (result.calls == 0) {
            fetcher_wait(fetcher, -1, 10);
            if (connections[i] < 0)
                connections[i] = accept4(listening[i], NULL, NULL, SOCK_NONBLOCK);
            if (connections[i] >= 0 && recv(connections[i], bytes, sizeof(bytes), 0) > 0)
                assert_int_equal(write(connections[i], OK_REPLY, strlen(OK_REPLY)), strlen(OK_REPLY));
        }
        assert_int_equal(result.status, 200);
    }
    for (size_t i = 0; i < COUNT_OF(listening); i++)
        closed += recv(connections[i], bytes, sizeof(bytes), 0) == 0;
    assert_int_equal(closed, 1);
    fetcher_free(fetcher);
    for (size_t i = 0; i < COUNT_OF(listening); i++) {
        close(connections[i]);
        close(listening[i]);
    }
}

/* Bytes that nobody reads would end each wait at once: the client is looked at now and then instead. */
static void a_client_that_sends_more_is_looked_at_now_and_then(void **state)
{
    struct fetcher *fetcher = fetcher_new(NULL);
    int64_t start = clock_ms();
    int ends[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_true(client_wait(fetcher, ends[0], PLENTY_MS));
    assert_in_range(clock_ms() - start, CLIENT_LOOK_MS - 20, PLENTY_MS / 2);
    close(ends[1]);
    assert_false(client_wait(fetcher, ends[0], PLENTY_MS));
    close(ends[0]);
    fetcher_free(fetcher);
}

/* What one client's request asked is counted for it, and for all. */
static void requests_are_tallied(void **state)
{
    const struct http_reply replies[] = {{.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"},
                                         {.bytes = "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"}};
    struct http_server *server = http_server_start(replies, COUNT_OF(replies), 1);
    struct fetch_shared *shared = fetch_shared_new();
    struct fetcher *fetcher = fetcher_new(shared);
    struct fetch_request request = request_of(http_server_url(server)), invalid = request_of("");
    const struct fetch_tally *tally = fetcher_tally(fetcher, BACKEND_KUBERNETES);
    struct traffic_view view;
    struct result result = {0};
    int64_t before = clock_us();

    (void)state;
    request.backend = invalid.backend = BACKEND_KUBERNETES;
    fetch_start(fetcher, &request, keep_result, &result);
    wait_for_all(fetcher);
    assert_int_equal(tally->requests, 1);
    assert_int_equal(tally->failures, 0);
    fetch_start(fetcher, &request, keep_result, &result);
    fetch_start(fetcher, &invalid, keep_result, &result);
    wait_for_all(fetcher);
    assert_int_equal(tally->requests, 3);
    assert_int_equal(tally->failures, 2);
    assert_true(before <= tally->first && tally->first < tally->last && tally->last <= clock_us());
    fetcher_tally_reset(fetcher);
    assert_int_equal(tally->requests, 0);
    traffic_look(fetch_shared_traffic(shared), BACKEND_KUBERNETES, &view);
    assert_int_equal(view.ended[TRAFFIC_OK], 1);
    assert_int_equal(view.ended[TRAFFIC_5XX], 1);
    assert_int_equal(view.ended[TRAFFIC_INVALID], 1);
    assert_int_equal(view.running, 0);
    fetcher_free(fetcher);
    fetch_shared_free(shared);
    http_server_stop(server);
}

/* Who waits until the deadline and then gives up was not the one who went away. */
static void cancelled_at_the_deadline_is_a_timeout(void **state)
{
    const struct http_reply never = {.bytes = NULL};
    struct http_server *server = http_server_start(&never, 1, 1);
    struct fetch_shared *shared = fetch_shared_new();
    struct fetcher *fetcher = fetcher_new(shared);
    struct fetch_request request = request_of(http_server_url(server));
    struct traffic_view view;
    struct result result = {0};

    (void)state;
    fetch_start(fetcher, &request, keep_result, &result);
    fetcher_cancel(fetcher);
    request.deadline = clock_ms() + 5;
    fetch_start(fetcher, &request, keep_result, &result);
    while (clock_ms() < request.deadline)
        continue;
    fetcher_cancel(fetcher);
    assert_int_equal(result.outcome, FETCH_CANCELLED);
    traffic_look(fetch_shared_traffic(shared), BACKEND_PROMETHEUS, &view);
    assert_int_equal(view.ended[TRAFFIC_CANCELLED], 1);
    assert_int_equal(view.ended[TRAFFIC_TIMEOUT], 1);
    assert_string_equal(view.reason, "no answer before the deadline");
    fetcher_free(fetcher);
    fetch_shared_free(shared);
    http_server_stop(server);
}

/* Time ran out before the backend was asked: that is no news of it, whether somebody waits for the end or
 * gives up. */
static void a_backend_that_was_not_asked_has_not_failed(void **state)
{
    struct fetch_shared *shared = fetch_shared_new();
    struct fetcher *fetcher = fetcher_new(shared);
    struct fetch_request request = request_of("http://127.0.0.1:1/");
    const struct fetch_tally *tally = fetcher_tally(fetcher, BACKEND_PROMETHEUS);
    struct traffic_view view;
    struct result result = {0};

    (void)state;
    request.deadline = clock_ms();
    fetch_start(fetcher, &request, keep_result, &result);
    wait_for_all(fetcher);
    assert_int_equal(result.outcome, FETCH_TIMEOUT);
    fetch_start(fetcher, &request, keep_result, &result);
    fetcher_cancel(fetcher);
    assert_int_equal(result.outcome, FETCH_CANCELLED);
    traffic_look(fetch_shared_traffic(shared), BACKEND_PROMETHEUS, &view);
    assert_int_equal(view.ended[TRAFFIC_TIMEOUT], 2);
    assert_int_equal(view.health, TRAFFIC_UNKNOWN);
    assert_string_equal(view.reason, "");
    assert_int_equal(tally->requests, 2);
    assert_int_equal(tally->failures, 2);
    fetcher_free(fetcher);
    fetch_shared_free(shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_backend_that_was_not_asked_has_not_failed),
        cmocka_unit_test(requests_are_tallied),
        cmocka_unit_test(cancelled_at_the_deadline_is_a_timeout),
        cmocka_unit_test(answers_become_outcomes),
        cmocka_unit_test(a_body_may_be_taken_as_it_comes),
        cmocka_unit_test(a_refusal_is_kept_though_the_body_would_be_taken),
        cmocka_unit_test(a_connection_that_is_closed_at_once_is_broken),
        cmocka_unit_test(endless_headers_are_cut),
        cmocka_unit_test(no_answer_before_the_deadline),
        cmocka_unit_test(connection_refused),
        cmocka_unit_test(unusable_urls),
        cmocka_unit_test(credentials_and_headers),
        cmocka_unit_test(a_credential_cannot_bring_a_header),
        cmocka_unit_test(a_body_is_posted_as_a_form),
        cmocka_unit_test(the_environment_s_proxy_is_not_used),
        cmocka_unit_test(tls_to_somebody_who_does_not_speak_it),
        cmocka_unit_test(connections_are_used_again),
        cmocka_unit_test(done_may_start_others),
        cmocka_unit_test(cancelling_ends_all),
        cmocka_unit_test(a_backend_that_cannot_be_connected_to_is_left_alone_by_all),
        cmocka_unit_test(a_renewal_has_backends_tried_at_once),
        cmocka_unit_test(an_answer_that_comes_after_all_ends_that),
        cmocka_unit_test(waiting_ends_by_the_watched_descriptor_and_by_a_wake),
        cmocka_unit_test(a_pause_that_a_server_asks_for_has_an_end),
        cmocka_unit_test(a_header_that_is_sent_has_a_length),
        cmocka_unit_test(who_does_not_let_anybody_connect_is_soon_given_up),
        cmocka_unit_test(connections_that_are_kept_are_bounded),
        cmocka_unit_test(a_client_that_sends_more_is_looked_at_now_and_then),
    };

    return cmocka_run_group_tests(tests, init_library, cleanup_library);
}
