/* What a provider says of itself is believed only about itself. */
#include "auth/discovery.h"

#include <json-c/json.h>
#include <string.h>

#include "auth/algorithm.h"
#include "caps.h"
#include "net/url.h"
#include "util/arena.h"
#include "util/json.h"

const char *discovery_url(struct arena *arena, struct text issuer)
{
    struct url url;

    if (issuer.length > DISCOVERY_URL_MAX_BYTES || !url_read(issuer, &url) ||
        url.path.data + url.path.length != issuer.data + issuer.length)
        return NULL;
    if (issuer.data[issuer.length - 1] == '/')
        issuer.length--;
    return arena_format(arena, "%.*s/.well-known/openid-configuration", (int)issuer.length, issuer.data);
}

/* NULL when there is none, or when it leads where it must not. */
static const char *read_address(struct arena *arena, struct json_object *json, const char *name,
                                struct text issuer)
{
    struct url own, url;
    struct text text;

    if (!json_string(json_member(json, name), &text) || text.length > DISCOVERY_URL_MAX_BYTES ||
        !url_read(text, &url) || !url_read(issuer, &own))
        return NULL;
    if (!url.is_https && (own.is_https || text_compare_nocase(url.host, own.host) != 0))
        return NULL;
    return arena_string(arena, text);
}

/* Those that are verified here, of those that the provider has; RS256 when that says nothing: all providers
 * have it (OpenID Connect Core 1.0, section 15.1). */
static unsigned read_algorithms(struct json_object *json)
{
    struct json_object *list = json_member(json, "id_token_signing_alg_values_supported");
    enum algorithm algorithm;
    unsigned found = 0;
    struct text name;

    if (json_object_is_type(list, json_type_array))
        for (size_t i = 0; i < json_object_array_length(list); i++)
            if (json_string(json_object_array_get_idx(list, i), &name) && algorithm_find(name, &algorithm))
                found |= 1u << algorithm;
    return found ? found : 1u << ALGORITHM_RS256;
}

static enum userinfo_kind read_kind(struct json_object *json)
{
    struct text text;
    struct url url;

    if (json_string(json_member(json, "authorization_endpoint"), &text) && url_read(text, &url)) {
        if (memmem(url.path.data, url.path.length, "/realms/egi", strlen("/realms/egi")))
            return USERINFO_EGI;
        if (memmem(url.path.data, url.path.length, "/realms/ai4eosc", strlen("/realms/ai4eosc")))
            return USERINFO_AI4EOSC;
    }
    return USERINFO_OTHER;
}

static const char *read_members(struct arena *arena, struct text issuer, struct json_object *json,
                                struct discovery *out)
{
    struct text named;

    if (!json_string(json_member(json, "issuer"), &named) || !text_equal(named, issuer))
        return "the discovery document is another issuer's";
    out->jwks_uri = read_address(arena, json, "jwks_uri", issuer);
    if (out->jwks_uri == NULL)
        return "the discovery document's jwks_uri is missing or must not be followed";
    out->userinfo_endpoint = read_address(arena, json, "userinfo_endpoint", issuer);
    if (out->userinfo_endpoint == NULL)
        return "the discovery document's userinfo_endpoint is missing or must not be followed";
    out->kind = read_kind(json);
    out->algorithms = read_algorithms(json);
    return NULL;
}

const char *discovery_read(struct arena *arena, struct text issuer, struct text body, struct discovery *out)
{
    struct json_object *json = json_read_distinct(body);
    const char *why;

    *out = (struct discovery){.algorithms = 0};
    if (json == NULL)
        return "the discovery document is no JSON object";
    why = read_members(arena, issuer, json, out);
    json_object_put(json);
    return why;
}
