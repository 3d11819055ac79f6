/* Users of OpenID providers: from a bearer token to an identity.
 *
 * The order: is OIDC on; does the token read as one; is its issuer configured; has it expired; has its
 * provider signed it; who does the provider say it is; are they in a group that gets in. What needs a
 * provider is asked once for all workers and remembered, within bounds. */
#ifndef OM_AUTH_OIDC_H
#define OM_AUTH_OIDC_H

#include <stdint.h>

#include "auth/auth.h"
#include "util/text.h"

struct cache_view;
struct oidc;

/* Milliseconds. */
struct oidc_times {
    int64_t fresh;    /* how long a provider's description and keys are used before they are read again */
    int64_t usable;   /* how long they are when the provider does not answer any more */
    int64_t pause;    /* between two times that a provider is asked for them */
    int64_t patience; /* how long others wait for what one asks of it */
    int64_t user;     /* how long a verified token and its user are remembered at most */
    int64_t refusal;  /* how long it is that a provider refused a token, or could not say; and between two
                         times  that one is asked about users that did not answer in time */
};

extern const struct oidc_times oidc_times;

struct oidc *oidc_new(const struct oidc_times *times); /* NULL: oidc_times */
void oidc_free(struct oidc *oidc);                     /* NULL is allowed */

/* What is remembered of tokens. A hit is a request whose token was judged by that, a miss one that asked its
 * provider who the user is. */
void oidc_look(const struct oidc *oidc, struct cache_view *out);

/* `bearer` is what stands behind "Bearer". *refusal is that of credentials that are wrong; it is changed
 * where it is another. */
enum auth_result oidc_check(const struct auth_context *context, struct text bearer, struct identity *identity,
                            struct auth_refusal *refusal) __attribute__((warn_unused_result));

#endif
