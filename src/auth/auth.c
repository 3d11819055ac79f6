/* Schemes, one row each. */
#include "auth/auth.h"

#include <stddef.h>
#include <string.h>

#include "auth/basic.h"
#include "auth/oidc.h"
#include "util/text.h"

static const char basic_challenge[] = "Basic realm=\"Authorization Required\"";
/* Without a Basic challenge: it would open the browser's login box over a page whose token has expired. */
static const char bearer_challenge[] = "Bearer error=\"invalid_token\"";

static enum auth_result check_basic(const struct auth_context *context, struct text credentials,
                                    struct identity *identity, struct auth_refusal *refusal)
{
    (void)refusal;
    return basic_check(context->settings, credentials, identity) ? AUTH_PASSED : AUTH_REFUSED;
}

static enum auth_result check_bearer(const struct auth_context *context, struct text credentials,
                                     struct identity *identity, struct auth_refusal *refusal)
{
    return oidc_check(context, credentials, identity, refusal);
}

/* A scheme that refuses has its refusal before it: it changes what is different. */
static const struct scheme {
    const char *name;
    enum auth_result (*check)(const struct auth_context *context, struct text credentials,
                              struct identity *identity, struct auth_refusal *refusal);
    const char *challenge;
} schemes[] = {
    {"Basic", check_basic, basic_challenge},
    {"Bearer", check_bearer, bearer_challenge},
};

enum auth_result auth_check(const struct auth_context *context, const char *authorization,
                            struct identity *identity, struct auth_refusal *refusal)
{
    struct text rest = text_trim(text_of(authorization)), name = text_cut(&rest, ' ');

    *identity = (struct identity){.kind = IDENTITY_NOBODY};
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        if (!text_is_nocase(name, schemes[i].name))
            continue;
        *refusal = (struct auth_refusal){
            .status = 401, .text = "invalid credentials", .challenge = schemes[i].challenge};
        return schemes[i].check(context, text_trim(rest), identity, refusal);
    }
    *refusal =
        (struct auth_refusal){.status = 401, .text = "authentication required", .challenge = basic_challenge};
    return AUTH_REFUSED;
}
