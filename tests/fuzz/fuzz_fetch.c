/* Any bytes as what a backend's server sends, and as its Retry-After: a fetch ends once, as the header says
 * it may, and asks for a pause that was asked for, never for more than a day. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "caps.h"
#include "net/fetch.h"
#include "server.h"
#include "util/buf.h"
#include "util/timestamp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BODY_MAX = 512, PLENTY_MS = 10000, DIGITS_MAX = 18 };

enum form { KEPT, TAKEN, RETRY_AFTER, FORMS };

static void must(bool holds)
{
    if (!holds)
        abort();
}

struct scene {
    enum form form;
    struct text bytes;
    size_t ended, taken, enough; /* enough: of the body, in bytes; 0: all is wanted */
    enum fetch_outcome outcome;
    long status;
    int64_t retry_after_ms;
};

static struct server_reply answer(void *context, struct text request)
{
    struct scene *scene = context;

    (void)request;
    return (struct server_reply){.head = scene->bytes, .closes = true};
}

static bool take(void *context, struct text piece)
{
    struct scene *scene = context;

    scene->taken += piece.length;
    return scene->enough == 0 || scene->taken < scene->enough;
}

static void done(void *context, const struct fetch_answer *answer)
{
    struct scene *scene = context;

    scene->ended++;
    scene->outcome = answer->outcome;
    scene->status = answer->status;
    scene->retry_after_ms = answer->retry_after_ms;
    must((answer->outcome == FETCH_ANSWERED) == (answer->why == NULL));
    must(answer->why == NULL || (answer->why[0] && text_is_utf8(text_of(answer->why))));
    must((answer->outcome == FETCH_ANSWERED) == (answer->status != 0));
    must(answer->body.length <= BODY_MAX);
    must(answer->outcome == FETCH_ANSWERED || answer->body.length == 0);
    must(scene->form != TAKEN || answer->status != 200 || answer->body.length == 0);
    must(answer->retry_after_ms >= 0 && answer->retry_after_ms % 1000 == 0 &&
         answer->retry_after_ms <= FETCH_RETRY_AFTER_MAX_SECONDS * INT64_C(1000));
}

static void run(struct scene *scene)
{
    static struct server *server;
    struct fetch_request request = {.backend = BACKEND_LOKI, .max_bytes = BODY_MAX};
    struct fetcher *fetcher;

    if (server == NULL) {
        must(fetch_library_init());
        server = server_start();
    }
    request.url = server_url(server);
    request.deadline = clock_ms() + PLENTY_MS;
    request.take = scene->form == TAKEN ? take : NULL;
    fetcher = fetcher_new(NULL);
    fetch_start(fetcher, &request, done, scene);
    while (fetcher_running(fetcher) > 0) {
        fetcher_wait(fetcher, server_watched(server), PLENTY_MS);
        server_turn(server, answer, scene);
    }
    fetcher_free(fetcher);
    server_forget(server);
    must(scene->ended == 1);
    must(scene->outcome == FETCH_ANSWERED || scene->outcome == FETCH_BROKEN ||
         scene->outcome == FETCH_TOO_LARGE || (scene->outcome == FETCH_ENOUGH && scene->form == TAKEN));
}

/* Seconds that are written as digits; -1: it is none of these. */
static int64_t seconds_of(struct text value)
{
    int64_t seconds = 0;

    if (value.length == 0 || value.length > DIGITS_MAX)
        return -1;
    for (size_t i = 0; i < value.length; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return -1;
        seconds = seconds * 10 + value.data[i] - '0';
    }
    return seconds > 0 ? seconds : -1;
}

/* Between good headers. */
static void check_retry_after(struct scene *scene, struct text value)
{
    struct buf head;
    int64_t seconds;

    for (size_t i = 0; i < value.length; i++)
        if (value.data[i] == '\r' || value.data[i] == '\n' || value.data[i] == '\0')
            value.length = i;
    buf_init(&head, 1024 * 1024);
    buf_add_string(&head, "HTTP/1.1 503 Not now\r\nRetry-After: ");
    buf_add(&head, value);
    buf_add_string(&head, "\r\nContent-Length: 0\r\n\r\n");
    scene->bytes = buf_text(&head);
    run(scene);
    must(scene->outcome == FETCH_ANSWERED && scene->status == 503);
    seconds = seconds_of(value);
    if (seconds > FETCH_RETRY_AFTER_MAX_SECONDS)
        seconds = FETCH_RETRY_AFTER_MAX_SECONDS;
    must(seconds < 0 || scene->retry_after_ms == seconds * 1000);
    buf_free(&head);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct scene scene = {0};

    if (size < 2)
        return 0;
    scene.form = (enum form)(data[0] % FORMS);
    scene.enough = data[1];
    scene.bytes = (struct text){(const char *)data + 2, size - 2};
    if (scene.form == RETRY_AFTER)
        check_retry_after(&scene, scene.bytes);
    else
        run(&scene);
    return 0;
}
