/* Any bytes as what the Kubernetes API says with a refusal: the words for the operator are one line, short,
 * and hold nothing of it but a reason of letters and the name of an account of the cluster. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "caps.h"
#include "sources/kube.h"
#include "util/arena.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char what[] = "list pods in namespace oscar";

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* Every word of it, without what is around it, is one of ours, or has only bytes that those two may have. */
static void check_words(const char *words, struct text body)
{
    static const char from_body[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 :-.,()";
    struct text rest = text_of(words);

    must(text_is_utf8(rest) && strspn(words, from_body) == rest.length);
    must(rest.length < 200 + sizeof(what) + KUBE_REASON_MAX_BYTES + KUBE_ACCOUNT_MAX_BYTES);
    must(memmem(words, rest.length, what, sizeof(what) - 1) != NULL);
    /* An account stands in the body just so. */
    while (rest.data) {
        struct text word = text_cut(&rest, ' ');

        if (text_starts(word, "system:"))
            must(memmem(body.data, body.length, word.data, word.length) != NULL ||
                 memchr(body.data, '\\', body.length) != NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const long statuses[] = {301, 401, 403, 404, 410, 429, 500, 503, 999};
    struct fetch_answer answer = {.outcome = FETCH_ANSWERED, .body = {(const char *)data, size}};
    struct arena *arena = arena_new();

    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        const char *words;

        answer.status = statuses[i];
        words = kube_fault(arena, &answer, what);
        must(words != NULL);
        check_words(words, answer.body);
    }
    answer.status = 200;
    must(kube_fault(arena, &answer, what) == NULL);
    arena_free(arena);
    return 0;
}
