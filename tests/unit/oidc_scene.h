/* A provider, settings and tokens for tests of the gate for OIDC users. */
#ifndef OM_TESTS_OIDC_SCENE_H
#define OM_TESTS_OIDC_SCENE_H

#include <openssl/types.h>

#include "auth/oidc.h"
#include "model/identity.h"
#include "provider.h"

struct arena;
struct fetcher;
struct settings;

/* Everything lasts, and nothing is asked for twice. */
extern const struct oidc_times lasting;

/* What the provider's keys are made of; "r" (RSA) and "e" (P-256) are in its set. */
struct keys {
    EVP_PKEY *rsa, *other_rsa, *p256, *p384;
};

struct scene {
    struct keys keys; /* lent */
    struct arena *arena;
    struct stand_in *provider;
    struct settings *settings;
    struct fetcher *fetcher;
    struct oidc *oidc;
    const char *issuers, *groups, *enable; /* for read_settings() */
    int64_t expires;                       /* of all tokens: one that is made again later is the same token */
    /* What the last check() said. */
    struct auth_refusal refusal;
    struct identity identity;
};

/* Around a group of tests: libcurl, and the keys as *state. */
int make_keys(void **state);
int free_keys(void **state);

/* One in which user u1 is in the group vo.two, which gets in, as does vo.one. */
struct scene open_scene(void **state, const struct oidc_times *times);
void close_scene(struct scene *scene);

/* The settings in force from now on. */
void read_settings(struct scene *scene);

const char *discovery_of(struct scene *scene, const char *members);
void set_keys(struct scene *scene, const char *list);
void set_userinfo(struct scene *scene, const char *body);

const char *claims_of(struct scene *scene, const char *subject); /* good for an hour */
const char *token_of(struct scene *scene, const char *subject);  /* RS256 with the key "r" */

struct auth_context context_of(struct scene *scene);
enum auth_result check_with(struct scene *scene, const struct auth_context *context, const char *token);
enum auth_result check(struct scene *scene, const char *token);

unsigned asked(const struct scene *scene, enum route route);

void assert_passed(const struct scene *scene, enum auth_result result, const char *user);
void assert_refused(const struct scene *scene, enum auth_result result, int status, const char *reason);

#endif
