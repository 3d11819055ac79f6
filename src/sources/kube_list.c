/* While the items of one page are taken, the next is on its way; never more than two are held. */
#include "sources/kube_list.h"

#include <json-c/json.h>

#include "caps.h"
#include "net/fetch.h"
#include "net/form.h"
#include "sources/kube.h"
#include "util/arena.h"
#include "util/buf.h"
#include "util/json.h"

enum {
    PATH_SIZE = 512 * 1024
}; /* fits the longest token, and what an environment can hold, each byte escaped */

enum {
    SMALLER = 8, /* a page that is too large is asked for again with so many times fewer items */
};

struct kube_list {
    const struct source_context *context;
    struct kube *kube;
    struct kube_list_request request;
    size_t limit;
    struct text next;                   /* the token of the page to be asked for */
    struct json_object *page, *arrived; /* being taken; NULL: none */
    size_t at, items, pages, bytes, restarts, retries;
    bool asking, begin_again, stopped;
    int64_t retry_at; /* clock_ms(); 0: nothing is asked again */
    const char *fault;
};

struct json_object *kube_page_read(struct arena *arena, struct text body, const char *kind, struct text *next)
{
    struct json_object *page = json_read(body), *items = json_member(page, "items");
    struct text word;

    *next = (struct text){NULL, 0};
    if (json_object_is_type(items, json_type_array) && json_string(json_member(page, "kind"), &word) &&
        text_is(word, kind)) {
        if (json_string(json_member(json_member(page, "metadata"), "continue"), &word))
            *next = arena_text(arena, word);
        json_object_get(items);
    } else {
        items = NULL;
    }
    json_object_put(page);
    return items;
}

static void set_fault(struct kube_list *list, const char *why)
{
    list->fault =
        arena_format(list->context->arena, "cannot %s: the Kubernetes API: %s", list->request.what, why);
}

static void drop_pages(struct kube_list *list)
{
    json_object_put(list->page);
    json_object_put(list->arrived);
    list->page = list->arrived = NULL;
}

/* Nothing that comes later makes up for it. */
static bool is_passing(const struct fetch_answer *answer)
{
    if (answer->outcome == FETCH_ANSWERED)
        return answer->status == 429 || answer->status == 500 || answer->status == 502 ||
               answer->status == 503 || answer->status == 504;
    return answer->outcome == FETCH_BROKEN;
}

/* True: it will be asked once more. */
static bool retry_later(struct kube_list *list, const struct fetch_answer *answer)
{
    int64_t now = clock_ms(),
            pause = answer->retry_after_ms > 0 ? answer->retry_after_ms : KUBE_LIST_RETRY_MS;

    if (!is_passing(answer) || list->retries >= KUBE_LIST_RETRIES_MAX ||
        pause > (list->context->deadline - now) / 2)
        return false;
    list->retries++;
    list->retry_at = now + pause;
    return true;
}

static bool is_gone(const struct fetch_answer *answer)
{
    return answer->outcome == FETCH_ANSWERED && answer->status == 410;
}

/* True: the list will be read again from its beginning, in smaller pages when one was too `large`. */
static bool begin_again(struct kube_list *list, bool large)
{
    if (list->restarts >= KUBE_LIST_RESTARTS_MAX || (large && list->limit == 1))
        return false;
    if (large)
        list->limit = list->limit > SMALLER ? list->limit / SMALLER : 1;
    list->restarts++;
    list->begin_again = true;
    return true;
}

static void take_page(void *context, const struct fetch_answer *answer)
{
    struct kube_list *list = context;

    list->asking = false;
    list->bytes += answer->body.length;
    if (list->stopped || (is_gone(answer) && begin_again(list, false)) ||
        (answer->outcome == FETCH_TOO_LARGE && begin_again(list, true)) || retry_later(list, answer))
        return;
    list->fault = kube_fault(list->context->arena, answer, list->request.what);
    if (list->fault)
        return;
    list->arrived = kube_page_read(list->context->arena, answer->body, list->request.kind, &list->next);
    if (list->arrived == NULL && json_has_too_many_lists(answer->body)) {
        if (!begin_again(list, true))
            set_fault(list, "a page with too many objects and lists");
    } else if (list->arrived == NULL) {
        set_fault(list, "the answer is no such list");
    } else if (list->bytes > KUBE_LIST_MAX_BYTES) {
        set_fault(list, "the list is larger than 256 MiB");
    } else if (list->next.length > KUBE_LIST_CONTINUE_MAX_BYTES) {
        set_fault(list, "the list cannot be continued: too long a token");
    }
}

static void ask(struct kube_list *list)
{
    struct arena *arena = list->context->arena;
    struct kube_request request = {.max_bytes = KUBE_LIST_PAGE_MAX_BYTES,
                                   .deadline = list->context->deadline};
    struct buf query;

    buf_init(&query, PATH_SIZE);
    form_add(&query, "limit", text_of(arena_format(arena, "%zu", list->limit)));
    if (list->request.selector)
        form_add(&query, "labelSelector", text_of(list->request.selector));
    if (list->next.length > 0)
        form_add(&query, "continue", list->next);
    request.path = arena_format(arena, "%s?%s", list->request.path, query.data);
    buf_free(&query);
    list->retry_at = 0;
    list->asking = true;
    list->fault = kube_get(list->kube, &request, take_page, list);
    if (list->fault)
        list->asking = false;
}

struct kube_list *kube_list_start(const struct source_context *context, struct kube *kube,
                                  const struct kube_list_request *request)
{
    struct kube_list *list = ARENA_NEW(context->arena, struct kube_list);

    *list = (struct kube_list){
        .context = context, .kube = kube, .request = *request, .limit = KUBE_LIST_PAGE_ITEMS_MAX};
    ask(list);
    return list;
}

/* The page that has come is next, and the one behind it is asked for. */
static void turn_page(struct kube_list *list)
{
    list->page = list->arrived;
    list->arrived = NULL;
    list->at = 0;
    list->items += json_object_array_length(list->page);
    if (list->items > KUBE_LIST_ITEMS_MAX || ++list->pages > KUBE_LIST_PAGES_MAX)
        set_fault(list, "the list does not end");
    else if (list->next.length > 0)
        ask(list);
}

static void start_over(struct kube_list *list)
{
    drop_pages(list);
    list->begin_again = false;
    list->next = (struct text){NULL, 0};
    list->items = list->pages = list->bytes = 0;
    list->request.restart(list->request.context);
    ask(list);
}

/* False: the slice is over. */
static bool take_items(struct kube_list *list, int64_t until)
{
    size_t count = json_object_array_length(list->page);

    while (list->at < count) {
        list->request.take(list->request.context, json_object_array_get_idx(list->page, list->at++));
        if (clock_ms() >= until)
            return false;
    }
    json_object_put(list->page);
    list->page = NULL;
    return true;
}

enum job_state kube_list_step(struct kube_list *list, int64_t *wake_at)
{
    int64_t until = clock_ms() + KUBE_LIST_STEP_MS;

    *wake_at = 0;
    for (;;) {
        if (list->fault)
            return JOB_DONE;
        if (list->begin_again)
            start_over(list);
        else if (list->page && !take_items(list, until))
            return JOB_READY;
        else if (list->arrived)
            turn_page(list);
        else if (list->asking)
            return JOB_WAITING;
        else if (list->retry_at == 0)
            return JOB_DONE;
        else if (clock_ms() >= list->retry_at)
            ask(list);
        else
            break;
    }
    *wake_at = list->retry_at;
    return JOB_WAITING;
}

const char *kube_list_fault(const struct kube_list *list)
{
    return list->fault;
}

void kube_list_stop(struct kube_list *list)
{
    list->stopped = true;
    drop_pages(list);
}
