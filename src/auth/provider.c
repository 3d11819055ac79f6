/* A list of issuers under one lock. */
#include "auth/provider.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <utlist.h>

#include "auth/jwks.h"
#include "util/memory.h"
#include "util/timestamp.h"

struct provider {
    atomic_int holders;
    char *jwks_uri, *userinfo_endpoint;
    struct discovery discovery; /* its texts are these */
    struct jwks *keys;
};

struct row {
    struct row *next;
    char *issuer;
    struct provider_state state;
    /* Questions about users. */
    size_t users;     /* that are being asked for */
    int64_t moved_at; /* clock_ms(): when the first of these began, or the last one had an answer */
    bool late;        /* the last one had none in time */
    int64_t late_at;  /* clock_ms() */
};

struct providers {
    pthread_mutex_t lock;
    struct row *rows;
};

static struct provider *provider_new(const struct discovery *discovery, struct jwks *keys)
{
    struct provider *provider = memory_new(1, sizeof(*provider));
    struct text jwks_uri = text_of(discovery->jwks_uri), userinfo = text_of(discovery->userinfo_endpoint);

    atomic_init(&provider->holders, 1);
    provider->discovery = *discovery;
    provider->discovery.jwks_uri = provider->jwks_uri = memory_copy(jwks_uri.data, jwks_uri.length);
    provider->discovery.userinfo_endpoint = provider->userinfo_endpoint =
        memory_copy(userinfo.data, userinfo.length);
    provider->keys = keys;
    return provider;
}

void provider_release(struct provider *provider)
{
    if (provider == NULL || atomic_fetch_sub(&provider->holders, 1) != 1)
        return;
    free(provider->jwks_uri);
    free(provider->userinfo_endpoint);
    jwks_free(provider->keys);
    free(provider);
}

const struct discovery *provider_discovery(const struct provider *provider)
{
    return &provider->discovery;
}

const struct jwks *provider_keys(const struct provider *provider)
{
    return provider->keys;
}

struct providers *providers_new(void)
{
    struct providers *providers = memory_new(1, sizeof(*providers));

    pthread_mutex_init(&providers->lock, NULL);
    return providers;
}

void providers_free(struct providers *providers)
{
    struct row *next;

    if (providers == NULL)
        return;
    for (struct row *row = providers->rows; row; row = next) {
        next = row->next;
        provider_release(row->state.provider);
        free(row->issuer);
        free(row);
    }
    pthread_mutex_destroy(&providers->lock);
    free(providers);
}

/* The lock is held. */
static struct row *find_row(struct providers *providers, struct text issuer)
{
    struct row *row;

    LL_FOREACH(providers->rows, row)
    if (text_is(issuer, row->issuer))
        return row;
    return NULL;
}

/* The lock is held. */
static struct row *need_row(struct providers *providers, struct text issuer)
{
    struct row *row = find_row(providers, issuer);

    if (row == NULL) {
        row = memory_new(1, sizeof(*row));
        row->issuer = memory_copy(issuer.data, issuer.length);
        LL_PREPEND(providers->rows, row);
    }
    return row;
}

struct provider_state providers_look(struct providers *providers, struct text issuer)
{
    struct provider_state state = {.provider = NULL};
    struct row *row;

    pthread_mutex_lock(&providers->lock);
    row = find_row(providers, issuer);
    if (row)
        state = row->state;
    if (state.provider)
        atomic_fetch_add(&state.provider->holders, 1);
    pthread_mutex_unlock(&providers->lock);
    return state;
}

void providers_ask(struct providers *providers, struct text issuer)
{
    struct row *row;

    pthread_mutex_lock(&providers->lock);
    row = need_row(providers, issuer);
    row->state.is_being_asked = true;
    row->state.asking_since = clock_ms();
    pthread_mutex_unlock(&providers->lock);
}

void providers_asked(struct providers *providers, struct text issuer, const struct discovery *discovery,
                     struct jwks *keys)
{
    struct provider *old = NULL;
    struct row *row;

    pthread_mutex_lock(&providers->lock);
    row = need_row(providers, issuer);
    row->state.is_being_asked = false;
    row->state.was_asked = true;
    row->state.asked_at = clock_ms();
    if (keys) {
        old = row->state.provider;
        row->state.provider = provider_new(discovery ? discovery : &old->discovery, keys);
        if (discovery)
            row->state.read_at = row->state.asked_at;
    }
    pthread_mutex_unlock(&providers->lock);
    provider_release(old);
}

bool providers_ask_user(struct providers *providers, struct text issuer, int64_t patience, int64_t pause)
{
    int64_t now = clock_ms();
    struct row *row;
    bool answers;

    pthread_mutex_lock(&providers->lock);
    row = need_row(providers, issuer);
    if (row->late)
        answers = row->users == 0 && now - row->late_at >= pause;
    else
        answers = row->users == 0 || now - row->moved_at < patience;
    if (answers && row->users++ == 0)
        row->moved_at = now;
    pthread_mutex_unlock(&providers->lock);
    return answers;
}

void providers_asked_user(struct providers *providers, struct text issuer, enum provider_user how)
{
    int64_t now = clock_ms();
    struct row *row;

    pthread_mutex_lock(&providers->lock);
    row = need_row(providers, issuer);
    row->users--;
    if (how != PROVIDER_USER_LEFT) {
        row->moved_at = now;
        row->late = how == PROVIDER_USER_LATE;
        row->late_at = now;
    }
    pthread_mutex_unlock(&providers->lock);
}
