/* Where the API is and how to get in; what it refuses, in words. */
#include "sources/kube.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <string.h>
#include <unistd.h>

#include "caps.h"
#include "settings.h"
#include "sources/job.h"
#include "util/arena.h"
#include "util/json.h"
#include "util/text.h"

#define ACCOUNT_FOLDER "/var/run/secrets/kubernetes.io/serviceaccount/"

struct kube {
    const struct source_context *context;
    const char *base;       /* without a slash at its end */
    const char *token_file; /* NULL: nobody in particular asks */
    const char *ca_file;    /* NULL: the system's */
};

/* A GET under way; in the arena. */
struct kube_get {
    struct kube *kube;
    struct kube_request request;
    fetch_done *done;
    void *context;
    bool again; /* it was sent a second time */
};

bool kube_is_configured(const struct settings *settings)
{
    return settings_text(settings, OSCAR_METRICS_KUBE_URL)[0] ||
           settings_text(settings, KUBERNETES_SERVICE_HOST)[0];
}

/* A setting, else the pod's own file; outside a pod none. */
static const char *file_of(const struct settings *settings, enum setting setting, const char *in_pod)
{
    const char *path = settings_text(settings, setting);

    if (path[0])
        return path;
    return settings_text(settings, OSCAR_METRICS_KUBE_URL)[0] ? NULL : in_pod;
}

static const char *base_of(const struct source_context *context)
{
    const char *host = settings_text(context->settings, KUBERNETES_SERVICE_HOST);
    struct text url = text_of(settings_text(context->settings, OSCAR_METRICS_KUBE_URL));
    bool bare_ipv6 = strchr(host, ':') && host[0] != '[';

    if (url.length == 0)
        return arena_format(context->arena, "https://%s%s%s:%" PRId64, bare_ipv6 ? "[" : "", host,
                            bare_ipv6 ? "]" : "",
                            settings_number(context->settings, KUBERNETES_SERVICE_PORT));
    while (url.length > 0 && url.data[url.length - 1] == '/')
        url.length--;
    return arena_string(context->arena, url);
}

struct kube *kube_open(const struct source_context *context)
{
    struct kube *kube = ARENA_NEW(context->arena, struct kube);

    *kube = (struct kube){
        .context = context,
        .base = base_of(context),
        .token_file = file_of(context->settings, OSCAR_METRICS_KUBE_TOKEN_FILE, ACCOUNT_FOLDER "token"),
        .ca_file = file_of(context->settings, OSCAR_METRICS_KUBE_CA_FILE, ACCOUNT_FOLDER "ca.crt"),
    };
    return kube;
}

const char *kube_base(const struct kube *kube)
{
    return kube->base;
}

static const char *open_words(int number)
{
    switch (number) {
    case ENOENT:
    case ENOTDIR:
        return "there is no such file";
    case EACCES:
    case EPERM:
        return "permission denied";
    default:
        return "it cannot be opened";
    }
}

/* In from the file, without the white space around it. NULL: it is fine; else why it is not. */
static const char *read_token(const char *path, char *token)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    size_t length = 0;
    ssize_t got = 1;
    struct text inner;

    if (fd < 0)
        return open_words(errno);
    while (length < KUBE_TOKEN_MAX_BYTES &&
           (got = read(fd, token + length, KUBE_TOKEN_MAX_BYTES - length)) > 0)
        length += (size_t)got;
    close(fd);
    if (got < 0)
        return "it cannot be read";
    if (length == KUBE_TOKEN_MAX_BYTES)
        return "it is too large for a token";
    inner = text_trim((struct text){token, length});
    if (inner.length == 0)
        return "it is empty";
    for (size_t i = 0; i < inner.length; i++)
        if ((unsigned char)inner.data[i] <= ' ' || (unsigned char)inner.data[i] >= 0x7f)
            return "it holds more than a token";
    memmove(token, inner.data, inner.length);
    token[inner.length] = '\0';
    return NULL;
}

/* Without its CA a connection would be verified against others, or fail with words that do not help. */
static const char *check_ca(const char *path)
{
    if (path == NULL)
        return NULL;
    return access(path, R_OK) == 0 ? NULL : open_words(errno);
}

static bool take_body(void *context, struct text piece)
{
    struct kube_get *get = context;

    return get->request.take(get->context, piece);
}

static void take_answer(void *context, const struct fetch_answer *answer);

static const char *send(struct kube_get *get)
{
    struct kube *kube = get->kube;
    struct arena *arena = kube->context->arena;
    char token[KUBE_TOKEN_MAX_BYTES + 1] = "";
    const struct fetch_access access = {.token = token, .ca_file = kube->ca_file};
    const char *wrong = check_ca(kube->ca_file);

    if (wrong)
        return arena_format(arena, "the Kubernetes API cannot be asked: the CA file %s: %s", kube->ca_file,
                            wrong);
    wrong = kube->token_file ? read_token(kube->token_file, token) : NULL;
    if (wrong) {
        explicit_bzero(token, sizeof(token));
        return arena_format(arena, "the Kubernetes API cannot be asked: the token file %s: %s",
                            kube->token_file, wrong);
    }
    fetch_start(kube->context->fetcher,
                &(struct fetch_request){.backend = BACKEND_KUBERNETES,
                                        .url = arena_format(arena, "%s%s", kube->base, get->request.path),
                                        .access = &access,
                                        .max_bytes = get->request.max_bytes,
                                        .deadline = get->request.deadline,
                                        .take = get->request.take ? take_body : NULL},
                take_answer, get);
    explicit_bzero(token, sizeof(token));
    return NULL;
}

static void take_answer(void *context, const struct fetch_answer *answer)
{
    struct kube_get *get = context;

    /* The token may have been replaced just now. */
    if (answer->outcome == FETCH_ANSWERED && answer->status == 401 && get->kube->token_file && !get->again) {
        get->again = true;
        if (send(get) == NULL)
            return;
    }
    get->done(get->context, answer);
}

const char *kube_get(struct kube *kube, const struct kube_request *request, fetch_done *done, void *context)
{
    struct kube_get *get = ARENA_NEW(kube->context->arena, struct kube_get);

    *get = (struct kube_get){.kube = kube, .request = *request, .done = done, .context = context};
    return send(get);
}

/* "Expired", "InternalError": a word of letters from the Status object; else NULL. */
static const char *reason_of(struct arena *arena, struct json_object *status)
{
    struct text reason;

    if (!json_string(json_member(status, "reason"), &reason) || reason.length == 0 ||
        reason.length > KUBE_REASON_MAX_BYTES)
        return NULL;
    for (size_t i = 0; i < reason.length; i++)
        if ((reason.data[i] | 0x20) < 'a' || (reason.data[i] | 0x20) > 'z')
            return NULL;
    return arena_string(arena, reason);
}

static bool is_account_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == ':' || c == '-' || c == '.';
}

/* Of `... User "system:serviceaccount:oscar:default" cannot list ...` the account; NULL when it is none of
 * the cluster's own. */
static const char *account_of(struct arena *arena, struct json_object *status)
{
    static const char before[] = "User \"system:";
    struct text message, account;
    const char *at;
    size_t length = 0;

    if (!json_string(json_member(status, "message"), &message) || message.length == 0)
        return NULL;
    at = memmem(message.data, message.length, before, sizeof(before) - 1);
    if (at == NULL)
        return NULL;
    account = text_skip(message, (size_t)(at - message.data) + strlen("User \""));
    while (length < account.length && length < KUBE_ACCOUNT_MAX_BYTES &&
           is_account_char(account.data[length]))
        length++;
    if (length == account.length || account.data[length] != '"')
        return NULL;
    return arena_string(arena, (struct text){account.data, length});
}

static const char *status_words(struct arena *arena, long number, struct json_object *status,
                                const char *what)
{
    const char *account, *reason = reason_of(arena, status);

    switch (number) {
    case 401:
        return arena_format(arena, "the Kubernetes API does not accept the token (401): may not %s", what);
    case 403:
        account = account_of(arena, status);
        return arena_format(arena, "may not %s: the Kubernetes API refuses it to %s (403)", what,
                            account ? account : "this account");
    case 404:
        return arena_format(arena, "cannot %s: there is no such thing (404), or the URL is no Kubernetes API",
                            what);
    case 410:
        return arena_format(arena, "cannot %s: the list was gone before it was read to its end (410)", what);
    case 429:
        return arena_format(arena, "cannot %s: the Kubernetes API is too busy (429)", what);
    default:
        return arena_format(arena, "cannot %s: the Kubernetes API answered %ld%s%s", what, number,
                            reason ? " " : "", reason ? reason : "");
    }
}

const char *kube_fault(struct arena *arena, const struct fetch_answer *answer, const char *what)
{
    struct json_object *status = NULL;
    const char *words;

    if (answer->outcome != FETCH_ANSWERED)
        return arena_format(arena, "cannot %s: the Kubernetes API: %s", what, answer->why);
    if (answer->status == 200)
        return NULL;
    if (answer->body.length <= KUBE_STATUS_MAX_BYTES)
        status = json_read(answer->body);
    words = status_words(arena, answer->status, status, what);
    json_object_put(status);
    return words;
}
