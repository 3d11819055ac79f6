/* The inventory from the Kubernetes API: pages, what breaks one service and what breaks the list, snapshots
 * that are shared. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http_server.h"
#include "net/fetch.h"
#include "settings.h"
#include "sources/inventory.h"
#include "util/arena.h"
#include "util/buf.h"
#include "util/cache.h"
#include "util/claims.h"

enum { PLENTY_MS = 120 * 1000, MAX_ANSWERS = 12 };

/* The API: answers in their order, and what was asked. */
struct api {
    const char *answers[MAX_ANSWERS]; /* heads and bodies; the last is given again and again */
    char asked[MAX_ANSWERS][256];     /* the first lines */
    size_t count;
    struct http_server *server;
    struct arena *arena;
    struct cache *cache;
    struct claims *claims;
};

/* A worker with its request. */
struct fixture {
    struct arena *arena;
    struct settings *settings;
    struct source_context context;
    struct inventory inventory;
    struct job *job;
};

static const char *choose(void *context, const char *request)
{
    struct api *api = context;
    size_t at = api->count++;

    if (at < MAX_ANSWERS)
        snprintf(api->asked[at], sizeof(api->asked[at]), "%.*s", (int)strcspn(request, "\r"), request);
    while (at >= MAX_ANSWERS || api->answers[at] == NULL)
        at--;
    return api->answers[at];
}

static const char *http(struct arena *arena, const char *status, const char *body)
{
    return arena_format(arena, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n%s", status, strlen(body), body);
}

static const char *page(struct arena *arena, const char *kind, const char *next, const char *items)
{
    return http(arena, "200 OK",
                arena_format(arena,
                             "{\"kind\":\"%sList\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":"
                             "\"7\",\"continue\":\"%s\"},\"items\":[%s]}",
                             kind, next, items));
}

/* {"metadata": ..., "data": {"function_config.yaml": ...}}; the definition as the inside of a JSON string. */
static const char *configmap(struct arena *arena, const char *namespace, const char *name, int version,
                             const char *definition)
{
    return arena_format(arena,
                        "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"%s\",\"uid\":\"u-%s-%s\","
                        "\"resourceVersion\":\"%d\"},\"data\":{\"function_config.yaml\":\"%s\"}}",
                        name, namespace, namespace, name, version, definition);
}

static void open_api(struct api *api)
{
    memset(api, 0, sizeof(*api));
    api->arena = arena_new();
    api->cache = cache_new(16 * 1024 * 1024, 3600 * 1000);
    api->claims = claims_new();
    api->server = http_server_start_choosing(choose, api);
}

static void close_api(struct api *api)
{
    http_server_stop(api->server);
    cache_free(api->cache);
    claims_free(api->claims);
    arena_free(api->arena);
}

static const char *look_up(void *context, const char *name)
{
    if (strcmp(name, "OSCAR_USERNAME") == 0 || strcmp(name, "OSCAR_PASSWORD") == 0)
        return "oscar";
    return strcmp(name, "OSCAR_METRICS_KUBE_URL") == 0 ? context : NULL;
}

static void set_up(struct fixture *f, const struct api *api)
{
    char url[64];

    snprintf(url, sizeof(url), "%s", http_server_url(api->server));
    memset(f, 0, sizeof(*f));
    f->arena = arena_new();
    f->settings = settings_read(look_up, url, stderr);
    assert_non_null(f->settings);
    f->context = (struct source_context){.arena = f->arena,
                                         .fetcher = fetcher_new(NULL),
                                         .settings = f->settings,
                                         .remembered = api->cache,
                                         .claims = api->claims,
                                         .now = instant_now(),
                                         .deadline = clock_ms() + PLENTY_MS};
}

static void tear_down(struct fixture *f)
{
    inventory_release(&f->inventory);
    fetcher_free(f->context.fetcher);
    settings_release(f->settings);
    arena_free(f->arena);
}

static void run(struct fixture *f)
{
    enum job_state state;

    while ((state = f->job->ops->step(f->job)) != JOB_DONE)
        if (state == JOB_WAITING) {
            int64_t left = f->job->wake_at ? f->job->wake_at - clock_ms() : PLENTY_MS;

            assert_true(clock_ms() < f->context.deadline);
            fetcher_wait(f->context.fetcher, -1, left > 0 ? (int)left : 0);
        }
}

/* "level: namespace/name(owner) ... !broken ... in namespace ... namespace=owner ... half: notes" */
static const char *words(struct fixture *f)
{
    const struct inventory *inventory = &f->inventory;
    const char *notes = status_notes(&inventory->status), *string;
    struct buf out;

    buf_init(&out, 65536);
    buf_format(&out, "%s:", status_level_name(inventory->status.level));
    for (size_t i = 0; i < inventory->count; i++) {
        const struct service *s = &inventory->services[i];

        buf_format(&out, " %s/%s(%s)", arena_string(f->arena, s->namespace), arena_string(f->arena, s->name),
                   arena_string(f->arena, s->owner));
    }
    for (size_t i = 0; i < inventory->broken_count; i++)
        buf_format(&out, " !%s", arena_string(f->arena, inventory->broken[i]));
    for (size_t i = 0; i < inventory->broken_in_count; i++)
        buf_format(&out, " in %s", arena_string(f->arena, inventory->broken_in[i]));
    for (size_t i = 0; i < inventory->namespace_count; i++)
        buf_format(&out, " %s=%s", arena_string(f->arena, inventory->namespaces[i].namespace),
                   arena_string(f->arena, inventory->namespaces[i].owner));
    if (!inventory->whole)
        buf_add_string(&out, " half");
    if (notes)
        buf_format(&out, ": %s", notes);
    string = arena_string(f->arena, buf_text(&out));
    buf_free(&out);
    return string;
}

static const char *read_with(struct fixture *f, bool namespaces)
{
    inventory_release(&f->inventory);
    f->job = inventory_start(&f->context, namespaces, &f->inventory);
    assert_non_null(f->job);
    run(f);
    return words(f);
}

static const char *read_all(struct fixture *f)
{
    return read_with(f, false);
}

static void pages_are_read_to_the_end(void **state)
{
    struct api api;
    struct fixture f;

    (void)state;
    open_api(&api);
    api.answers[0] = page(api.arena, "ConfigMap", "a&b=", configmap(api.arena, "n2", "x", 1, "name: x\\n"));
    api.answers[1] = page(api.arena, "ConfigMap", "c", "");
    api.answers[2] =
        page(api.arena, "ConfigMap", "", configmap(api.arena, "n1", "x", 1, "{name: x, owner: o}"));
    set_up(&f, &api);
    assert_string_equal(read_all(&f), "ok: n1/x(o) n2/x()");
    assert_true(f.inventory.status.has_time);
    assert_int_equal(api.count, 3);
    assert_string_equal(api.asked[0],
                        "GET /api/v1/configmaps?limit=500&labelSelector=oscar_service HTTP/1.1");
    assert_string_equal(
        api.asked[1],
        "GET /api/v1/configmaps?limit=500&labelSelector=oscar_service&continue=a%26b%3D HTTP/1.1");
    tear_down(&f);
    close_api(&api);
}

#define OWNED "{name: s, owner: secret-user}"

static const struct {
    const char *item; /* NULL: a ConfigMap with that definition */
    const char *definition, *expected;
    int line;
} broken_rows[] = {
    {"{\"metadata\":{\"name\":\"b\",\"namespace\":\"n\"}}", NULL,
     "partial: n/good() !b in n: n/b: no function_config.yaml in it", __LINE__},
    {"{\"metadata\":{\"name\":\"b\",\"namespace\":\"n\"},\"data\":null}", NULL,
     "partial: n/good() !b in n: n/b: no function_config.yaml in it", __LINE__},
    {"{\"metadata\":{\"name\":\"b\",\"namespace\":\"n\"},\"data\":{\"script.sh\":\"x\"}}", NULL,
     "partial: n/good() !b in n: n/b: no function_config.yaml in it", __LINE__},
    {"{\"metadata\":{\"name\":\"b\",\"namespace\":\"n\"},\"data\":{\"function_config.yaml\":[1]}}", NULL,
     "partial: n/good() !b in n: n/b: no function_config.yaml in it", __LINE__},
    {"{\"metadata\":{\"name\":\"b\",\"namespace\":\"n\"},\"binaryData\":{\"function_config.yaml\":\"eA==\"}}",
     NULL, "partial: n/good() !b in n: n/b: no function_config.yaml in it", __LINE__},
    {"{\"metadata\":{\"name\":\"b\"},\"data\":{\"function_config.yaml\":\"name: b\"}}", NULL,
     "partial: n/good() !b in : ?/b: its namespace is none", __LINE__},
    {"{\"metadata\":{\"name\":\"b\",\"namespace\":\"N!\"},\"data\":{\"function_config.yaml\":\"name: b\"}}",
     NULL, "partial: n/good() !b in N!: N!/b: its namespace is none", __LINE__},
    {"{}", NULL, "partial: n/good() in : ?/?: its namespace is none", __LINE__},
    {"7", NULL, "partial: n/good() in : ?/?: its namespace is none", __LINE__},
    {"null", NULL, "partial: n/good() in : ?/?: its namespace is none", __LINE__},
    {NULL, "", "partial: n/good() !b in n: n/b: no document", __LINE__},
    {NULL, "owner: secret-user\\n", "partial: n/good() !b in n: n/b: no name", __LINE__},
    {NULL, "name: b\\nowner: [1]\\n", "partial: n/good() !b in n: n/b: owner is no text", __LINE__},
    {NULL, "name: b\\nallowed_users: x\\n", "partial: n/good() !b in n: n/b: allowed_users is no list",
     __LINE__},
    {NULL, "name: b\\n---\\nname: b\\n", "partial: n/good() !b in n: n/b: more than one document", __LINE__},
    {NULL, "x: &x [y]\\nname: b\\nowner: *x\\n", "partial: n/good() !b in n: n/b: owner is an alias",
     __LINE__},
    {NULL, "name: b\\u0000\\n", "partial: n/good() !b in n: n/b: a NUL in it", __LINE__},
    /* Another name than the ConfigMap's: what it says counts; of a broken one both names are hidden. */
    {NULL, "name: other\\nowner: []\\n", "partial: n/good() !b !other in n: n/b: owner is no text", __LINE__},
    {NULL, "name: other\\n", "ok: n/good() n/other()", __LINE__},
    {NULL, "name: good\\n", "partial: n/good() !good in n: n/good: defined more than once", __LINE__},
};

static void a_broken_configmap_costs_that_service(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(broken_rows); i++) {
        struct api api;
        struct fixture f;
        const char *item = broken_rows[i].item, *got;

        open_api(&api);
        if (item == NULL)
            item = configmap(api.arena, "n", "b", 1, broken_rows[i].definition);
        api.answers[0] = page(
            api.arena, "ConfigMap", "",
            arena_format(api.arena, "%s,%s", item, configmap(api.arena, "n", "good", 1, "name: good\\n")));
        set_up(&f, &api);
        got = read_all(&f);
        if (strcmp(got, broken_rows[i].expected) != 0)
            fail_msg("line %d: %s", broken_rows[i].line, got);
        tear_down(&f);
        close_api(&api);
    }
}

#define GOOD_LIST                                                                                            \
    "{\"kind\":\"ConfigMapList\",\"metadata\":{},\"items\":[{\"metadata\":{\"name\":\"x\",\"namespace\":"    \
    "\"n\"},\"data\":{\"function_config.yaml\":\"name: x\"}}]}"
#define FIRST_PAGE                                                                                           \
    "{\"kind\":\"ConfigMapList\",\"metadata\":{\"continue\":\"c\"},\"items\":[{\"metadata\":{\"name\":"      \
    "\"a\",\"namespace\":\"n\"},\"data\":{\"function_config.yaml\":\"name: a\"}}]}"

#define CANNOT "missing: half: cannot list configmaps in all namespaces: the Kubernetes API"

static const struct {
    const char *status[6], *body[6], *expected;
    size_t requests;
    int line;
} list_rows[] = {
    /* What passes is tried again. */
    {{"500 Oh", "200 OK"}, {"{}", GOOD_LIST}, "ok: n/x()", 2, __LINE__},
    {{"200 OK", "503 Oh", "200 OK"}, {FIRST_PAGE, "", GOOD_LIST}, "ok: n/a() n/x()", 3, __LINE__},
    {{"503 Oh"}, {""}, CANNOT " answered 503", 4, __LINE__},
    /* What does not, is not. */
    {{"404 No"},
     {""},
     "missing: half: cannot list configmaps in all namespaces: there is no such thing (404), or the URL is "
     "no Kubernetes API",
     1,
     __LINE__},
    {{"403 No"},
     {"{}"},
     "missing: half: may not list configmaps in all namespaces: the Kubernetes API refuses it to this "
     "account (403)",
     1,
     __LINE__},
    {{"302 Found"}, {""}, CANNOT " answered 302", 1, __LINE__},
    /* A token that expired: from the beginning, and nothing counts twice. */
    {{"200 OK", "410 Gone", "200 OK"}, {FIRST_PAGE, "{}", GOOD_LIST}, "ok: n/x()", 3, __LINE__},
    {{"410 Gone"},
     {"{}"},
     "missing: half: cannot list configmaps in all namespaces: the list was gone before it was read to its "
     "end (410)",
     4,
     __LINE__},
    /* Half a list is none. */
    {{"200 OK", "200 OK"},
     {FIRST_PAGE, "{\"kind\":\"Conf"},
     CANNOT ": the answer is no such list",
     2,
     __LINE__},
    {{"200 OK", "403 No"},
     {FIRST_PAGE, "{}"},
     "missing: half: may not list configmaps in all namespaces: the Kubernetes API refuses it to this "
     "account (403)",
     2,
     __LINE__},
    {{"200 OK"}, {""}, CANNOT ": the answer is no such list", 1, __LINE__},
    {{"200 OK"}, {"[]"}, CANNOT ": the answer is no such list", 1, __LINE__},
    {{"200 OK"}, {"{\"kind\":\"ConfigMapList\"}"}, CANNOT ": the answer is no such list", 1, __LINE__},
    {{"200 OK"}, {"{\"kind\":\"PodList\",\"items\":[]}"}, CANNOT ": the answer is no such list", 1, __LINE__},
    {{"200 OK"},
     {"{\"kind\":\"ConfigMapList\",\"items\":{}}"},
     CANNOT ": the answer is no such list",
     1,
     __LINE__},
    {{"200 OK"}, {"{\"kind\":\"ConfigMapList\",\"items\":[]}"}, "ok:", 1, __LINE__},
};

static void what_becomes_of_a_list(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(list_rows); i++) {
        struct api api;
        struct fixture f;
        const char *got;

        open_api(&api);
        for (size_t j = 0; j < COUNT_OF(list_rows[i].status) && list_rows[i].status[j]; j++)
            api.answers[j] = http(api.arena, list_rows[i].status[j], list_rows[i].body[j]);
        set_up(&f, &api);
        got = read_all(&f);
        if (strcmp(got, list_rows[i].expected) != 0 || api.count != list_rows[i].requests)
            fail_msg("line %d: %zu requests: %s", list_rows[i].line, api.count, got);
        tear_down(&f);
        close_api(&api);
    }
}

static void a_snapshot_is_shared_and_read_anew_when_that_is_wanted(void **state)
{
    struct api api;
    struct fixture f;

    (void)state;
    open_api(&api);
    /* The same version with another text: it is not parsed again. */
    api.answers[0] = page(api.arena, "ConfigMap", "",
                          arena_format(api.arena, "%s,%s", configmap(api.arena, "n", "a", 1, "name: a\\n"),
                                       configmap(api.arena, "n", "b", 1, "{[")));
    api.answers[1] =
        page(api.arena, "ConfigMap", "",
             arena_format(api.arena, "%s,%s,%s", configmap(api.arena, "n", "a", 1, "name: not-looked-at\\n"),
                          configmap(api.arena, "n", "b", 2, "name: b\\n"),
                          configmap(api.arena, "m", "a", 1, "name: a\\n")));
    set_up(&f, &api);
    assert_string_equal(read_all(&f), "partial: n/a() !b in n: n/b: no valid YAML in line 2");
    assert_string_equal(read_all(&f), "partial: n/a() !b in n: n/b: no valid YAML in line 2");
    assert_int_equal(api.count, 1);
    f.context.fresh_after = clock_ms();
    assert_string_equal(read_all(&f), "ok: m/a() n/a() n/b()");
    assert_int_equal(api.count, 2);
    tear_down(&f);
    close_api(&api);
}

static void without_a_memory_each_reads_for_itself(void **state)
{
    struct api api;
    struct fixture f;

    (void)state;
    open_api(&api);
    api.answers[0] = http(api.arena, "200 OK", GOOD_LIST);
    set_up(&f, &api);
    f.context.remembered = NULL;
    f.context.claims = NULL;
    assert_string_equal(read_all(&f), "ok: n/x()");
    assert_string_equal(read_all(&f), "ok: n/x()");
    assert_int_equal(api.count, 2);
    tear_down(&f);
    close_api(&api);
}

static void what_failed_is_not_tried_again_at_once(void **state)
{
    struct api api;
    struct fixture f;

    (void)state;
    open_api(&api);
    api.answers[0] = http(api.arena, "403 No", "{}");
    api.answers[1] = http(api.arena, "200 OK", GOOD_LIST);
    set_up(&f, &api);
    assert_non_null(strstr(read_all(&f), "missing: half: may not list"));
    assert_non_null(strstr(read_all(&f), "missing: half: may not list"));
    assert_int_equal(api.count, 1);
    f.context.fresh_after = clock_ms();
    assert_string_equal(read_all(&f), "ok: n/x()");
    tear_down(&f);
    close_api(&api);
}

/* Two workers, the first in the middle of its reading. */
static void start_two(struct api *api, struct fixture *first, struct fixture *second)
{
    open_api(api);
    api->answers[0] = http(api->arena, "200 OK", GOOD_LIST);
    set_up(first, api);
    set_up(second, api);
    first->job = inventory_start(&first->context, false, &first->inventory);
    assert_int_equal(first->job->ops->step(first->job), JOB_WAITING);
    second->job = inventory_start(&second->context, false, &second->inventory);
    assert_int_equal(second->job->ops->step(second->job), JOB_WAITING);
    assert_int_equal(fetcher_running(second->context.fetcher), 0);
}

static void one_reads_for_all_who_wait(void **state)
{
    struct api api;
    struct fixture first, second;

    (void)state;
    start_two(&api, &first, &second);
    run(&first);
    run(&second);
    assert_string_equal(words(&first), "ok: n/x()");
    assert_string_equal(words(&second), "ok: n/x()");
    assert_int_equal(api.count, 1);
    tear_down(&first);
    tear_down(&second);
    close_api(&api);
}

static void who_gives_up_lets_another_read(void **state)
{
    struct api api;
    struct fixture first, second;

    (void)state;
    start_two(&api, &first, &second);
    first.job->ops->stop(first.job, JOB_DEADLINE);
    fetcher_cancel(first.context.fetcher);
    assert_string_equal(words(&first), "missing: half: the Kubernetes API did not give the services before "
                                       "the deadline");
    run(&second);
    assert_string_equal(words(&second), "ok: n/x()");
    tear_down(&first);
    tear_down(&second);
    close_api(&api);
}

/* Who waits for another's reading has looked at what is too old, and must not keep it. */
static void who_waited_holds_nothing_old(void **state)
{
    struct api api;
    struct fixture first, second, third;
    struct cache_value *old;
    int64_t now;

    (void)state;
    open_api(&api);
    api.answers[0] = api.answers[1] = http(api.arena, "200 OK", GOOD_LIST);
    set_up(&first, &api);
    set_up(&second, &api);
    set_up(&third, &api);
    read_all(&first);
    old = first.inventory.held[0];
    second.context.fresh_after = third.context.fresh_after = now = clock_ms();
    while (clock_ms() == now)
        continue;
    second.job = inventory_start(&second.context, false, &second.inventory);
    assert_int_equal(second.job->ops->step(second.job), JOB_WAITING);
    third.job = inventory_start(&third.context, false, &third.inventory);
    assert_int_equal(third.job->ops->step(third.job), JOB_WAITING);
    run(&second);
    run(&third);
    assert_int_equal(api.count, 2);
    assert_ptr_equal(third.inventory.held[0], second.inventory.held[0]);
    assert_int_equal(atomic_load(&old->holders), 1); /* the first */
    tear_down(&first);
    tear_down(&second);
    tear_down(&third);
    close_api(&api);
}

#define NAMESPACE(name, annotations) "{\"metadata\":{\"name\":\"" name "\"" annotations "}}"
#define OWNED_BY(owner)              ",\"annotations\":{\"oscar.grycap.upv.es/owner\":\"" owner "\"}"

static const char *choose_by_path(void *context, const char *request)
{
    const struct api *api = context;

    return strstr(request,
                  "GET /api/v1/namespaces?limit=500&labelSelector=app.kubernetes.io%2Fmanaged-by%3Doscar ")
               ? api->answers[1]
               : api->answers[0];
}

static const struct {
    const char *status, *body, *expected;
    int line;
} namespace_rows[] = {
    {"200 OK",
     "{\"kind\":\"NamespaceList\",\"items\":[" NAMESPACE("oscar-svc-z", OWNED_BY("z@x")) "," NAMESPACE(
         "oscar-svc-a", OWNED_BY("a@x")) "," NAMESPACE("oscar-svc", "") "]}",
     "ok: n/x() oscar-svc-a=a@x oscar-svc-z=z@x", __LINE__},
    {"200 OK",
     "{\"kind\":\"NamespaceList\",\"items\":[" NAMESPACE("n1", OWNED_BY("")) "," NAMESPACE(
         "n2", OWNED_BY("a")) "]}",
     "partial: n/x() n2=a: namespace n1: whose it is cannot be read", __LINE__},
    {"200 OK",
     "{\"kind\":\"NamespaceList\",\"items\":[" NAMESPACE(
         "n1", ",\"annotations\":{\"oscar.grycap.upv.es/owner\":[1]}") "]}",
     "partial: n/x(): namespace n1: whose it is cannot be read", __LINE__},
    {"200 OK", "{\"kind\":\"NamespaceList\",\"items\":[7]}",
     "partial: n/x(): namespace ?: whose it is cannot be read", __LINE__},
    {"403 No", "{}",
     "partial: n/x(): may not list namespaces: the Kubernetes API refuses it to this account (403)",
     __LINE__},
};

static void namespaces_say_whose_they_are(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(namespace_rows); i++) {
        struct api api;
        struct fixture f;
        const char *got;

        open_api(&api);
        http_server_stop(api.server);
        api.server = http_server_start_choosing(choose_by_path, &api);
        api.answers[0] = http(api.arena, "200 OK", GOOD_LIST);
        api.answers[1] = http(api.arena, namespace_rows[i].status, namespace_rows[i].body);
        set_up(&f, &api);
        got = read_with(&f, true);
        if (strcmp(got, namespace_rows[i].expected) != 0)
            fail_msg("line %d: %s", namespace_rows[i].line, got);
        assert_int_equal(f.inventory.namespaces_known, namespace_rows[i].status[0] == '2');
        tear_down(&f);
        close_api(&api);
    }
}

static void namespaces_that_are_late_take_no_service_away(void **state)
{
    struct api api;
    struct fixture f;

    (void)state;
    open_api(&api);
    http_server_stop(api.server);
    api.server = http_server_start_choosing(choose_by_path, &api);
    api.answers[0] = http(api.arena, "200 OK", GOOD_LIST); /* and never any namespace */
    set_up(&f, &api);
    read_all(&f);
    inventory_release(&f.inventory);
    f.job = inventory_start(&f.context, true, &f.inventory);
    assert_int_equal(f.job->ops->step(f.job), JOB_WAITING);
    f.job->ops->stop(f.job, JOB_DEADLINE);
    fetcher_cancel(f.context.fetcher);
    assert_string_equal(words(&f),
                        "partial: n/x(): the Kubernetes API did not give the namespaces before the deadline");
    assert_false(f.inventory.namespaces_known);
    tear_down(&f);
    close_api(&api);
}

/* Pages of any size and number: the first `large` of so many bytes, all but the last with another behind. */
struct book {
    struct arena *arena;
    const char *large, *page, *last;
    size_t large_count, count, asked, smallest;
};

static const char *turn(void *context, const char *request)
{
    struct book *book = context;
    const char *limit = strstr(request, "limit=");
    size_t number = book->asked++, asked_for = 0;

    for (limit += strlen("limit="); *limit >= '0' && *limit <= '9'; limit++)
        asked_for = asked_for * 10 + (size_t)(*limit - '0');
    book->smallest = asked_for;
    return number < book->large_count ? book->large : number + 1 < book->count ? book->page : book->last;
}

static const char *read_book(struct book *book)
{
    struct api api = {.arena = book->arena, .cache = NULL};
    struct fixture f;
    const char *got;

    api.server = http_server_start_choosing(turn, book);
    set_up(&f, &api);
    got = arena_string(book->arena, text_of(read_all(&f)));
    tear_down(&f);
    http_server_stop(api.server);
    return got;
}

/* A page of exactly so many bytes in its body, without a service in it. */
static const char *large_page(struct arena *arena, size_t bytes, const char *next)
{
    const char *begin =
        arena_format(arena, "{\"kind\":\"ConfigMapList\",\"metadata\":{\"continue\":\"%s\"},", next);
    const char *end = "\"items\":[]}";
    char *blanks = arena_alloc(arena, bytes + 1, 1);

    memset(blanks, ' ', bytes - strlen(begin) - strlen(end));
    return http(arena, "200 OK", arena_format(arena, "%s%s%s", begin, blanks, end));
}

static void a_page_that_is_too_large_is_asked_for_in_smaller_ones(void **state)
{
    struct arena *arena = arena_new();
    struct book book = {.arena = arena, .last = http(arena, "200 OK", GOOD_LIST)};

    (void)state;
    book.large_count = book.count = 1;
    book.large = large_page(arena, KUBE_LIST_PAGE_MAX_BYTES, "");
    assert_string_equal(read_book(&book), "ok:");
    assert_int_equal(book.smallest, KUBE_LIST_PAGE_ITEMS_MAX);
    book.asked = 0;
    book.large = large_page(arena, KUBE_LIST_PAGE_MAX_BYTES + 1, "");
    assert_string_equal(read_book(&book), "ok: n/x()");
    assert_int_equal(book.asked, 2);
    assert_true(book.smallest < KUBE_LIST_PAGE_ITEMS_MAX);
    arena_free(arena);
}

/* A page with one service, and beside it so many objects and lists that json-c would make too much of them;
 * or their brackets in a string. */
static const char *bracketed_page(struct arena *arena, const char *before, const char *each,
                                  const char *after)
{
    struct buf body;
    const char *answer;

    buf_init(&body, KUBE_LIST_PAGE_MAX_BYTES);
    buf_format(&body, "{\"kind\":\"ConfigMapList\",\"x\":%s", before);
    for (size_t i = 0; i < JSON_LISTS_MAX; i++)
        buf_add_string(&body, each);
    buf_format(&body, "%s,\"items\":[%s]}", after, configmap(arena, "n", "many", 1, "name: many\\n"));
    assert_false(body.full);
    answer = http(arena, "200 OK", body.data);
    buf_free(&body);
    return answer;
}

static void a_page_of_too_many_lists_is_asked_for_in_smaller_ones(void **state)
{
    struct arena *arena = arena_new();
    struct book book = {.arena = arena, .last = http(arena, "200 OK", GOOD_LIST)};

    (void)state;
    book.large_count = book.count = 1;
    book.large = bracketed_page(arena, "[", "{},", "0]");
    assert_string_equal(read_book(&book), "ok: n/x()");
    assert_int_equal(book.asked, 2);
    assert_true(book.smallest < KUBE_LIST_PAGE_ITEMS_MAX);
    /* Down to a page of one, and no further. */
    book.asked = 0;
    book.large_count = book.count = 100;
    assert_string_equal(read_book(&book), CANNOT ": a page with too many objects and lists");
    assert_int_equal(book.asked, 1 + KUBE_LIST_RESTARTS_MAX);
    assert_int_equal(book.smallest, 1);
    arena_free(arena);
}

static void brackets_in_scripts_are_no_lists(void **state)
{
    struct arena *arena = arena_new();
    struct book book = {.arena = arena, .count = 1};

    (void)state;
    book.last = bracketed_page(arena, "\"", "{[", "\"");
    assert_string_equal(read_book(&book), "ok: n/many()");
    assert_int_equal(book.asked, 1);
    arena_free(arena);
}

/* Up to the limit it goes on: the page behind it is asked for. */
static void a_list_is_bounded_in_bytes(void **state)
{
    enum { PAGES = KUBE_LIST_MAX_BYTES / KUBE_LIST_PAGE_MAX_BYTES };
    struct arena *arena = arena_new();
    struct book book = {.arena = arena,
                        .large = large_page(arena, KUBE_LIST_PAGE_MAX_BYTES, "c"),
                        .last = http(arena, "200 OK", GOOD_LIST),
                        .large_count = PAGES,
                        .count = PAGES + 1};

    (void)state;
    assert_string_equal(read_book(&book), CANNOT ": the list is larger than 256 MiB");
    assert_int_equal(book.asked, PAGES + 1);
    arena_free(arena);
}

static void a_list_is_bounded_in_items(void **state)
{
    enum { EACH = 20000 };
    struct arena *arena = arena_new();
    struct book book = {.arena = arena, .count = KUBE_LIST_ITEMS_MAX / EACH};
    struct buf items;

    (void)state;
    buf_init(&items, 1024 * 1024);
    for (size_t i = 0; i < EACH; i++)
        buf_add_string(&items, i ? ",7" : "7");
    book.page = page(arena, "ConfigMap", "c", arena_string(arena, buf_text(&items)));
    book.last = page(arena, "ConfigMap", "", arena_string(arena, buf_text(&items)));
    assert_non_null(strstr(read_book(&book), "partial:"));
    book.asked = 0;
    book.count++;
    book.last = page(arena, "ConfigMap", "", "7");
    assert_non_null(strstr(read_book(&book), "missing: half:"));
    buf_free(&items);
    arena_free(arena);
}

static void a_list_is_bounded_in_pages(void **state)
{
    struct arena *arena = arena_new();
    struct book book = {.arena = arena,
                        .page = page(arena, "ConfigMap", "c", ""),
                        .last = page(arena, "ConfigMap", "", ""),
                        .count = KUBE_LIST_PAGES_MAX + 1};

    (void)state;
    assert_string_equal(read_book(&book), CANNOT ": the list does not end");
    assert_int_equal(book.asked, KUBE_LIST_PAGES_MAX + 1);
    arena_free(arena);
}

static void what_names_the_next_page_has_a_length(void **state)
{
    struct arena *arena = arena_new();
    char *token = arena_alloc(arena, KUBE_LIST_CONTINUE_MAX_BYTES + 2, 1);
    struct book book = {
        .arena = arena, .last = http(arena, "200 OK", GOOD_LIST), .large_count = 1, .count = 2};

    (void)state;
    memset(token, '+', KUBE_LIST_CONTINUE_MAX_BYTES);
    book.large = page(arena, "ConfigMap", token, "");
    assert_string_equal(read_book(&book), "ok: n/x()");
    book.asked = 0;
    token[KUBE_LIST_CONTINUE_MAX_BYTES] = '+';
    book.large = page(arena, "ConfigMap", token, "");
    assert_string_equal(read_book(&book), CANNOT ": the list cannot be continued: too long a token");
    arena_free(arena);
}

static void items_are_taken_step_by_step(void **state)
{
    struct api api;
    struct fixture f;
    struct buf items;
    size_t ready = 0;
    enum job_state step;

    (void)state;
    open_api(&api);
    buf_init(&items, 16 * 1024 * 1024);
    for (int i = 0; i < 20000; i++)
        buf_format(&items, "%s%s", i ? "," : "",
                   configmap(api.arena, "n", arena_format(api.arena, "s%d", i), 1, "name: x\\n"));
    api.answers[0] = page(api.arena, "ConfigMap", "", arena_string(api.arena, buf_text(&items)));
    buf_free(&items);
    set_up(&f, &api);
    f.job = inventory_start(&f.context, false, &f.inventory);
    while ((step = f.job->ops->step(f.job)) != JOB_DONE) {
        ready += step == JOB_READY;
        if (step == JOB_WAITING)
            fetcher_wait(f.context.fetcher, -1, PLENTY_MS);
    }
    assert_true(ready > 2);
    tear_down(&f);
    close_api(&api);
}

static void an_owner_s_id_has_a_length(void **state)
{
    (void)state;
    for (size_t more = 0; more <= 1; more++) {
        struct api api;
        struct fixture f;
        char *owner;

        open_api(&api);
        owner = arena_alloc(api.arena, KUBE_SNAPSHOT_OWNER_MAX_BYTES + 2, 1);
        memset(owner, 'o', KUBE_SNAPSHOT_OWNER_MAX_BYTES + more);
        http_server_stop(api.server);
        api.server = http_server_start_choosing(choose_by_path, &api);
        api.answers[0] = http(api.arena, "200 OK", GOOD_LIST);
        api.answers[1] = page(api.arena, "Namespace", "",
                              arena_format(api.arena,
                                           "{\"metadata\":{\"name\":\"n\",\"annotations\":"
                                           "{\"oscar.grycap.upv.es/owner\":\"%s\"}}}",
                                           owner));
        set_up(&f, &api);
        assert_string_equal(read_with(&f, true),
                            more ? "partial: n/x(): namespace n: whose it is cannot be read"
                                 : arena_format(api.arena, "ok: n/x() n=%s", owner));
        tear_down(&f);
        close_api(&api);
    }
}

/* With an id that is too long to be remembered by, a service is parsed each time. */
static void an_id_has_a_length(void **state)
{
    (void)state;
    for (size_t more = 0; more <= 1; more++) {
        struct api api;
        struct fixture f;
        char *id;

        open_api(&api);
        id = arena_alloc(api.arena, KUBE_SNAPSHOT_ID_MAX_BYTES + 2, 1);
        memset(id, 'i', KUBE_SNAPSHOT_ID_MAX_BYTES + more);
        for (int i = 0; i < 2; i++)
            api.answers[i] =
                page(api.arena, "ConfigMap", "",
                     arena_format(api.arena,
                                  "{\"metadata\":{\"name\":\"x\",\"namespace\":\"n\",\"uid\":\"%s\","
                                  "\"resourceVersion\":\"1\"},\"data\":{\"function_config.yaml\":\"%s\"}}",
                                  id, i == 0 ? "name: one" : "name: other"));
        set_up(&f, &api);
        assert_string_equal(read_all(&f), "ok: n/one()");
        f.context.fresh_after = clock_ms();
        assert_string_equal(read_all(&f), more ? "ok: n/other()" : "ok: n/one()");
        tear_down(&f);
        close_api(&api);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_are_read_to_the_end),
        cmocka_unit_test(a_broken_configmap_costs_that_service),
        cmocka_unit_test(what_becomes_of_a_list),
        cmocka_unit_test(a_snapshot_is_shared_and_read_anew_when_that_is_wanted),
        cmocka_unit_test(without_a_memory_each_reads_for_itself),
        cmocka_unit_test(what_failed_is_not_tried_again_at_once),
        cmocka_unit_test(one_reads_for_all_who_wait),
        cmocka_unit_test(who_gives_up_lets_another_read),
        cmocka_unit_test(who_waited_holds_nothing_old),
        cmocka_unit_test(namespaces_say_whose_they_are),
        cmocka_unit_test(namespaces_that_are_late_take_no_service_away),
        cmocka_unit_test(SLOW(a_page_that_is_too_large_is_asked_for_in_smaller_ones)),
        cmocka_unit_test(SLOW(a_page_of_too_many_lists_is_asked_for_in_smaller_ones)),
        cmocka_unit_test(brackets_in_scripts_are_no_lists),
        cmocka_unit_test(SLOW(a_list_is_bounded_in_bytes)),
        cmocka_unit_test(a_list_is_bounded_in_items),
        cmocka_unit_test(SLOW(a_list_is_bounded_in_pages)),
        cmocka_unit_test(what_names_the_next_page_has_a_length),
        cmocka_unit_test(SLOW(items_are_taken_step_by_step)),
        cmocka_unit_test(an_owner_s_id_has_a_length),
        cmocka_unit_test(an_id_has_a_length),
    };

    return cmocka_run_group_tests(tests, init_library, cleanup_library);
}
