/* Schemes, one row each. */
#include "auth/auth.h"

#include <stddef.h>
#include <string.h>

#include "auth/basic.h"
#include "util/text.h"

static const char basic_challenge[] = "Basic realm=\"Authorization Required\"";
/* Without a Basic challenge: it would open the browser's login box over a page whose token has expired. */
static const char bearer_challenge[] = "Bearer error=\"invalid_token\"";

static bool no_bearer(const struct settings *settings, struct text credentials, struct identity *identity)
{
    (void)settings, (void)credentials, (void)identity;
    return false;
}

static const struct scheme {
    const char *name;
    bool (*check)(const struct settings *settings, struct text credentials, struct identity *identity);
    const char *challenge;
} schemes[] = {
    {"Basic", basic_check, basic_challenge},
    {"Bearer", no_bearer, bearer_challenge},
};

bool auth_check(const struct settings *settings, const char *authorization, struct identity *identity,
                struct auth_refusal *refusal)
{
    struct text rest = text_trim(text_of(authorization)), name = text_cut(&rest, ' ');

    *identity = (struct identity){IDENTITY_NOBODY};
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        if (!text_is_nocase(name, schemes[i].name))
            continue;
        if (schemes[i].check(settings, text_trim(rest), identity))
            return true;
        *refusal = (struct auth_refusal){401, "invalid credentials", schemes[i].challenge};
        return false;
    }
    *refusal = (struct auth_refusal){401, "authentication required", basic_challenge};
    return false;
}
