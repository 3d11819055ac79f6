/* A fetch and its end, waited for. */
#include "auth/ask.h"

#include "auth/auth.h"
#include "caps.h"
#include "net/client.h"
#include "net/fetch.h"
#include "settings.h"
#include "util/arena.h"
#include "util/timestamp.h"

/* Waited at a time; ASK_MS is the limit. */
enum { STRETCH_MS = 1000 };

struct asked {
    struct arena *arena;
    struct ask_answer *answer;
    bool done;
};

static void take_answer(void *context, const struct fetch_answer *answer)
{
    struct asked *asked = context;

    asked->done = true;
    if (answer->outcome == FETCH_ANSWERED)
        *asked->answer =
            (struct ask_answer){.status = answer->status, .body = arena_text(asked->arena, answer->body)};
    else
        *asked->answer = (struct ask_answer){.why = arena_string(asked->arena, text_of(answer->why)),
                                             .late = answer->outcome == FETCH_TIMEOUT};
}

bool ask(const struct auth_context *context, const char *url, const char *token, int client,
         struct ask_answer *answer)
{
    const struct fetch_access access = {.token = token,
                                        .ca_file = settings_text(context->settings, OIDC_CA_FILE)};
    struct asked asked = {.arena = context->arena, .answer = answer};
    int64_t deadline = clock_ms() + ASK_MS;

    if (deadline > context->deadline)
        deadline = context->deadline;
    fetch_start(context->fetcher,
                &(struct fetch_request){.backend = BACKEND_OIDC,
                                        .url = url,
                                        .access = &access,
                                        .max_bytes = ASK_MAX_BYTES,
                                        .deadline = deadline},
                take_answer, &asked);
    while (!asked.done) {
        if (client_wait(context->fetcher, client, STRETCH_MS))
            continue;
        fetcher_cancel(context->fetcher);
        return false;
    }
    return true;
}
