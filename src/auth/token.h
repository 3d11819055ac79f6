/* A signed token as it comes from a client (RFC 7519 in the compact form of RFC 7515), read strictly and
 * without believing it: nothing here verifies the signature. */
#ifndef OM_AUTH_TOKEN_H
#define OM_AUTH_TOKEN_H

#include <stdbool.h>

#include "auth/algorithm.h"
#include "util/text.h"
#include "util/timestamp.h"

struct arena;

enum {
    TOKEN_EARLY_SECONDS = 300, /* how far ahead of our clock `nbf` may be */
};

struct token {
    const char *bytes;        /* as it came: of one token there is only one spelling that is read */
    struct text signed_bytes; /* header and claims, as they came */
    struct text signature;    /* its bytes */
    enum algorithm algorithm;
    struct text kid; /* data NULL: there is none */
    struct text issuer;
    struct text subject; /* see token_is_subject() */
    double expires;      /* seconds since 1970; finite */
    double not_before;   /* 0 when there is none */
};

/* Reads a token; all that *out points to lies in the arena. Accepted are three parts in strict base64url,
 * header and claims one JSON object each without repeated members; an algorithm that we verify; `typ` absent,
 * JWT or at+jwt (RFC 9068); no `crit`; `iss`, `sub` (not the administrator's id) and `exp`. Keys that a
 * header brings along or points to (jwk, jku, x5u, x5c) are not looked at. NULL when it was read; else why
 * not, in words for the log, without anything of the token but the name of its algorithm. */
const char *token_read(struct arena *arena, struct text bytes, struct token *out)
    __attribute__((warn_unused_result));

/* NULL when it may be used now, else why not. */
const char *token_check_times(const struct token *token, struct instant now)
    __attribute__((warn_unused_result));

double token_time(struct instant time); /* as tokens have it */

/* Whether this may be a user's id: 1 to TOKEN_SUBJECT_MAX_BYTES bytes without control characters, without
 * '|', which parts the fields of the lines that carry it, and without U+FFFD, in which characters that could
 * not be read become one. */
bool token_is_subject(struct text text);

#endif
