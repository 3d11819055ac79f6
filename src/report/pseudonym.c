/* One call of OpenSSL a name. */
#include "report/pseudonym.h"

#include <openssl/evp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "report/report.h"
#include "util/arena.h"

#define PREFIX "user-"
enum { PREFIX_LENGTH = sizeof(PREFIX) - 1, SHOWN_BYTES = 16, LENGTH = PREFIX_LENGTH + 2 * SHOWN_BYTES };

static const char digits[] = "0123456789abcdef";

static bool is_pseudonym(struct text id)
{
    if (id.length != LENGTH || !text_starts(id, PREFIX))
        return false;
    for (size_t i = PREFIX_LENGTH; i < LENGTH; i++)
        if (!memchr(digits, id.data[i], sizeof(digits) - 1))
            return false;
    return true;
}

static bool stays(const struct pseudonyms *pseudonyms, struct text id)
{
    if (pseudonyms->key.length == 0 || !membership_is_person(id))
        return true;
    return text_equal(id, pseudonyms->own) && !is_pseudonym(id);
}

struct text pseudonym_of(const struct pseudonyms *pseudonyms, struct arena *arena, struct text id)
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    size_t length = 0;
    char *shown;

    if (stays(pseudonyms, id))
        return id;
    if (!EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, pseudonyms->key.data, pseudonyms->key.length,
                   (const unsigned char *)id.data, id.length, mac, sizeof(mac), &length) ||
        length < SHOWN_BYTES) {
        /* An OpenSSL that does not know it, or no memory: better no answer than an id. */
        log_event(LOG_ERROR, "OpenSSL gives no HMAC-SHA-256", NULL);
        abort();
    }
    shown = arena_alloc(arena, LENGTH + 1, 1);
    memcpy(shown, PREFIX, PREFIX_LENGTH);
    for (size_t i = 0; i < SHOWN_BYTES; i++) {
        shown[PREFIX_LENGTH + 2 * i] = digits[mac[i] >> 4];
        shown[PREFIX_LENGTH + 2 * i + 1] = digits[mac[i] & 15];
    }
    return (struct text){shown, LENGTH};
}
