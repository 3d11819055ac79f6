/* What is known of each issuer, for all workers: its description and its keys, and when it was asked. */
#ifndef OM_AUTH_PROVIDER_H
#define OM_AUTH_PROVIDER_H

#include <stdbool.h>
#include <stdint.h>

#include "auth/discovery.h"
#include "util/text.h"

struct jwks;

/* Immutable and counted: whoever gets one holds it. */
struct provider;

/* NULL is allowed. */
void provider_release(struct provider *provider);

/* Its texts live as long as the provider. */
const struct discovery *provider_discovery(const struct provider *provider);
const struct jwks *provider_keys(const struct provider *provider);

/* One row an issuer that was ever asked: only those that the settings name are. */
struct providers;

struct providers *providers_new(void);
void providers_free(struct providers *providers); /* NULL is allowed */

/* What is known of an issuer at the moment. */
struct provider_state {
    struct provider *provider; /* held for the caller; NULL: nothing */
    int64_t read_at;           /* clock_ms(): when the description was read; of a provider */
    bool was_asked;
    int64_t asked_at; /* clock_ms(): when that ended, well or not */
    bool is_being_asked;
    int64_t asking_since; /* clock_ms() */
};
struct provider_state providers_look(struct providers *providers, struct text issuer);

/* Somebody begins to ask the provider, one at a time. */
void providers_ask(struct providers *providers, struct text issuer);

/* What came of asking. `keys` become the store's; NULL: the provider was no help, what was known stays.
 * `discovery` NULL: only the keys were asked for, the description stays as it is (there is one). */
void providers_asked(struct providers *providers, struct text issuer, const struct discovery *discovery,
                     struct jwks *keys);

/* Questions about users, one a token. False: they are not answered at the moment. One that was asked
 * `patience` ms ago has no answer yet; or the last one had none, and that was less than `pause` ms ago, or is
 * being tried again. True: providers_asked_user() follows. */
bool providers_ask_user(struct providers *providers, struct text issuer, int64_t patience, int64_t pause)
    __attribute__((warn_unused_result));

enum provider_user {
    PROVIDER_USER_ANSWERED, /* well or not */
    PROVIDER_USER_LATE,
    PROVIDER_USER_LEFT, /* nobody waits for it any more */
};
void providers_asked_user(struct providers *providers, struct text issuer, enum provider_user how);

#endif
