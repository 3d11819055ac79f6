/* Each refusal has its own words. */
#include "auth/token.h"

#include <json-c/json.h>
#include <math.h>
#include <string.h>

#include "caps.h"
#include "model/identity.h"
#include "sources/note.h"
#include "util/arena.h"
#include "util/base64.h"
#include "util/json.h"

/* What one part stands for, in the arena; false when it is no strict base64url. */
static bool decode(struct arena *arena, struct text part, struct text *out)
{
    struct buf bytes;
    bool valid;

    buf_init(&bytes, TOKEN_MAX_BYTES);
    valid = base64url_decode(part, &bytes);
    if (valid)
        *out = arena_text(arena, buf_text(&bytes));
    buf_free(&bytes);
    return valid;
}

/* A string of the object, copied. False when the member is there and is no string. */
static bool copy_string(struct arena *arena, struct json_object *object, const char *name, struct text *out)
{
    struct json_object *member;
    struct text text;

    *out = (struct text){NULL, 0};
    if (!json_object_object_get_ex(object, name, &member))
        return true;
    if (!json_string(member, &text))
        return false;
    *out = arena_text(arena, text);
    return true;
}

/* RFC 7515, section 4.1.9: without a '/' the value has "application/" before it; case does not matter. */
static bool is_type(struct text typ)
{
    static const char *const types[] = {"JWT", "at+jwt"};
    static const char prefix[] = "application/";

    if (typ.length > sizeof(prefix) - 1 &&
        text_is_nocase((struct text){typ.data, sizeof(prefix) - 1}, prefix))
        typ = text_skip(typ, sizeof(prefix) - 1);
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (text_is_nocase(typ, types[i]))
            return true;
    return false;
}

static const char *read_header_members(struct arena *arena, struct json_object *header, struct token *out)
{
    struct text name, typ;

    if (json_object_object_get_ex(header, "crit", NULL))
        return "the token's header has crit";
    if (!copy_string(arena, header, "alg", &name) || name.data == NULL)
        return "the token names no algorithm";
    if (!algorithm_find(name, &out->algorithm))
        return arena_format(arena, "the token's algorithm is not one that is accepted: %s",
                            note_words(arena, name, TOKEN_ALGORITHM_SHOWN_MAX_BYTES));
    if (!copy_string(arena, header, "kid", &out->kid))
        return "the token's kid is no string";
    if (!copy_string(arena, header, "typ", &typ) || (typ.data && !is_type(typ)))
        return "the token's typ is neither JWT nor at+jwt";
    return NULL;
}

static const char *read_time(struct json_object *claims, const char *name, const char *why, double *out)
{
    struct json_object *member;

    if (!json_object_object_get_ex(claims, name, &member))
        return NULL;
    if (!json_object_is_type(member, json_type_int) && !json_object_is_type(member, json_type_double))
        return why;
    *out = json_object_get_double(member);
    return isfinite(*out) ? NULL : why;
}

static const char *read_claim_members(struct arena *arena, struct json_object *claims, struct token *out)
{
    const char *why;

    if (!copy_string(arena, claims, "iss", &out->issuer) || out->issuer.length == 0)
        return "the token names no issuer";
    if (!json_object_object_get_ex(claims, "exp", NULL))
        return "the token has no exp";
    why = read_time(claims, "exp", "the token's exp is no number", &out->expires);
    if (why == NULL)
        why = read_time(claims, "nbf", "the token's nbf is no number", &out->not_before);
    if (why)
        return why;
    if (!copy_string(arena, claims, "sub", &out->subject) || !token_is_subject(out->subject))
        return "the token's sub is missing or cannot be a user's id";
    if (text_is(out->subject, IDENTITY_CLUSTER_ADMIN))
        return "the token's sub is the administrator's id";
    return NULL;
}

/* One of the two JSON parts. */
static const char *read_part(struct arena *arena, struct text part, struct token *out,
                             const char *(*read)(struct arena *, struct json_object *, struct token *))
{
    struct json_object *object = NULL;
    const char *why = "the token is no JWT";
    struct text bytes;

    if (decode(arena, part, &bytes))
        object = json_read_distinct(bytes);
    if (object)
        why = read(arena, object, out);
    json_object_put(object);
    return why;
}

const char *token_read(struct arena *arena, struct text bytes, struct token *out)
{
    struct text rest = bytes, header, claims;
    const char *why;

    *out = (struct token){.not_before = 0};
    if (bytes.length > TOKEN_MAX_BYTES)
        return "the token is too long";
    header = text_cut(&rest, '.');
    claims = text_cut(&rest, '.');
    /* A third point would be no base64url. */
    if (rest.data == NULL || !decode(arena, rest, &out->signature))
        return "the token is no JWT";
    why = read_part(arena, header, out, read_header_members);
    if (why == NULL)
        why = read_part(arena, claims, out, read_claim_members);
    out->bytes = arena_string(arena, bytes);
    out->signed_bytes = (struct text){out->bytes, header.length + 1 + claims.length};
    return why;
}

double token_time(struct instant time)
{
    return (double)time.seconds + (double)time.nanoseconds / 1e9;
}

const char *token_check_times(const struct token *token, struct instant now)
{
    if (!(token->expires > token_time(now)))
        return "the token has expired";
    if (token->not_before > token_time(now) + TOKEN_EARLY_SECONDS)
        return "the token is not valid yet";
    return NULL;
}

bool token_is_subject(struct text text)
{
    static const char replacement[] = "\xef\xbf\xbd"; /* json-c's, for half of a surrogate pair */

    if (text.length == 0 || text.length > TOKEN_SUBJECT_MAX_BYTES ||
        memmem(text.data, text.length, replacement, sizeof(replacement) - 1))
        return false;
    for (size_t i = 0; i < text.length; i++) {
        unsigned char c = (unsigned char)text.data[i];
        unsigned char next = i + 1 < text.length ? (unsigned char)text.data[i + 1] : 0;

        /* U+0080 to U+009F are control characters, too. */
        if (c < 0x20 || c == 0x7f || c == '|' || (c == 0xc2 && next < 0xa0))
            return false;
    }
    return true;
}
