/* One service definition, read as a stream of YAML events: the keys that matter at the top, everything else
 * skipped. Whoever may see a service is decided by what stands here, so that anything ambiguous (a key twice,
 * an alias, a tag, a second document) breaks the definition instead of being guessed at. */
#include <string.h>
#include <yaml.h>

#include "caps.h"
#include "sources/inventory.h"
#include "util/arena.h"

enum key { KEY_NAME, KEY_IMAGE, KEY_OWNER, KEY_VISIBILITY, KEY_ALLOWED_USERS, KEY_COUNT };

static const char *const key_names[KEY_COUNT] = {
    [KEY_NAME] = "name",
    [KEY_IMAGE] = "image",
    [KEY_OWNER] = "owner",
    [KEY_VISIBILITY] = "visibility",
    [KEY_ALLOWED_USERS] = "allowed_users",
};

static const char *const visibility_names[] = {
    [VISIBILITY_PRIVATE] = "private",
    [VISIBILITY_RESTRICTED] = "restricted",
    [VISIBILITY_PUBLIC] = "public",
};

struct reader {
    struct arena *arena;
    yaml_parser_t parser;
    yaml_event_t event; /* the current one; zeroed before the first */
    struct service service;
    bool seen[KEY_COUNT];
    const char *why;
};

static bool broken(struct reader *r, const char *why)
{
    r->why = why;
    return false;
}

static bool broken_key(struct reader *r, enum key key, const char *what)
{
    return broken(r, arena_format(r->arena, "%s %s", key_names[key], what));
}

static bool next(struct reader *r)
{
    yaml_event_delete(&r->event);
    if (yaml_parser_parse(&r->parser, &r->event))
        return true;
    if (r->parser.error == YAML_READER_ERROR)
        return broken(r, "no valid YAML: a character that it does not allow");
    return broken(r, arena_format(r->arena, "no valid YAML in line %zu", r->parser.problem_mark.line + 1));
}

/* From the first event of a node to its last. */
static bool skip_node(struct reader *r)
{
    int depth = 0;

    for (;;) {
        switch (r->event.type) {
        case YAML_MAPPING_START_EVENT:
        case YAML_SEQUENCE_START_EVENT:
            if (++depth >= DEFINITION_DEPTH_MAX)
                return broken(r, "nested too deeply");
            break;
        case YAML_MAPPING_END_EVENT:
        case YAML_SEQUENCE_END_EVENT:
            depth--;
            break;
        default:
            break;
        }
        if (depth == 0)
            return true;
        if (!next(r))
            return false;
    }
}

static struct text scalar_text(const yaml_event_t *event)
{
    return (struct text){(const char *)event->data.scalar.value, event->data.scalar.length};
}

/* Nothing, ~ or null, without quotes. */
static bool is_null(const yaml_event_t *event)
{
    static const char *const spellings[] = {"", "~", "null", "Null", "NULL"};

    if (event->type != YAML_SCALAR_EVENT || event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++)
        if (text_is(scalar_text(event), spellings[i]))
            return true;
    return false;
}

static bool is_plain_tag(const yaml_char_t *tag)
{
    return tag == NULL || strcmp((const char *)tag, "!") == 0 ||
           strcmp((const char *)tag, "tag:yaml.org,2002:str") == 0;
}

/* A value that matters must stand where it is used, as a text. */
static bool read_text(struct reader *r, enum key key, struct text *out)
{
    struct text text = scalar_text(&r->event);

    if (r->event.type == YAML_ALIAS_EVENT)
        return broken_key(r, key, "is an alias");
    if (r->event.type != YAML_SCALAR_EVENT)
        return broken_key(r, key, "is no text");
    if (r->event.data.scalar.anchor)
        return broken_key(r, key, "has an anchor");
    if (!is_plain_tag(r->event.data.scalar.tag))
        return broken_key(r, key, "has a tag");
    if (text.length > 0 && memchr(text.data, '\0', text.length))
        return broken_key(r, key, "has a NUL");
    *out = is_null(&r->event) ? (struct text){NULL, 0} : arena_text(r->arena, text);
    return true;
}

static bool read_visibility(struct reader *r)
{
    struct text word;

    if (!read_text(r, KEY_VISIBILITY, &word))
        return false;
    if (word.data == NULL)
        return true;
    for (size_t i = 0; i < sizeof(visibility_names) / sizeof(visibility_names[0]); i++)
        if (text_is(word, visibility_names[i])) {
            r->service.visibility = (enum visibility)i;
            return true;
        }
    return broken(r, "visibility is none of private, restricted, public");
}

static void add_user(struct reader *r, struct text user, size_t *capacity)
{
    struct service *service = &r->service;

    if (service->allowed_user_count == *capacity) {
        struct text *users = ARENA_ARRAY(r->arena, *capacity ? *capacity * 2 : 8, struct text);

        for (size_t i = 0; i < service->allowed_user_count; i++)
            users[i] = service->allowed_users[i];
        service->allowed_users = users;
        *capacity = *capacity ? *capacity * 2 : 8;
    }
    service->allowed_users[service->allowed_user_count++] = user;
}

/* A list of texts; an empty one is nobody. */
static bool read_allowed_users(struct reader *r)
{
    size_t capacity = 0;

    if (is_null(&r->event))
        return true;
    if (r->event.type != YAML_SEQUENCE_START_EVENT)
        return broken_key(r, KEY_ALLOWED_USERS,
                          r->event.type == YAML_ALIAS_EVENT ? "is an alias" : "is no list");
    if (r->event.data.sequence_start.anchor)
        return broken_key(r, KEY_ALLOWED_USERS, "has an anchor");
    if (!is_plain_tag(r->event.data.sequence_start.tag))
        return broken_key(r, KEY_ALLOWED_USERS, "has a tag");
    while (next(r)) {
        struct text user;

        if (r->event.type == YAML_SEQUENCE_END_EVENT)
            return true;
        if (!read_text(r, KEY_ALLOWED_USERS, &user))
            return false;
        if (user.length > 0)
            add_user(r, user, &capacity);
    }
    return false;
}

/* Of the labels the owner's name, which is only shown: whatever is odd about it is passed over. */
static bool read_labels(struct reader *r)
{
    if (r->event.type != YAML_MAPPING_START_EVENT)
        return skip_node(r);
    while (next(r)) {
        bool named = r->event.type == YAML_SCALAR_EVENT && text_is(scalar_text(&r->event), "owner_name");

        if (r->event.type == YAML_MAPPING_END_EVENT)
            return true;
        if (!skip_node(r) || !next(r))
            return false;
        if (named && r->event.type == YAML_SCALAR_EVENT && !is_null(&r->event) &&
            !memchr(r->event.data.scalar.value, '\0', r->event.data.scalar.length))
            r->service.owner_name = arena_text(r->arena, scalar_text(&r->event));
        if (!skip_node(r))
            return false;
    }
    return false;
}

static bool read_value(struct reader *r, enum key key)
{
    switch (key) {
    case KEY_NAME:
        return read_text(r, key, &r->service.name);
    case KEY_IMAGE:
        return read_text(r, key, &r->service.image);
    case KEY_OWNER:
        return read_text(r, key, &r->service.owner);
    case KEY_VISIBILITY:
        return read_visibility(r);
    case KEY_ALLOWED_USERS:
        return read_allowed_users(r);
    case KEY_COUNT:
        break;
    }
    return true;
}

/* KEY_COUNT when the current event is a key that does not matter. */
static enum key find_key(const struct reader *r)
{
    enum key key = KEY_NAME;

    if (r->event.type != YAML_SCALAR_EVENT)
        return KEY_COUNT;
    while (key < KEY_COUNT && !text_is(scalar_text(&r->event), key_names[key]))
        key++;
    return key;
}

/* From a key of the top mapping to the end of its value. */
static bool read_pair(struct reader *r)
{
    enum key key = find_key(r);

    if (r->event.type == YAML_ALIAS_EVENT)
        return broken(r, "a key is an alias");
    if (key == KEY_COUNT && r->event.type == YAML_SCALAR_EVENT && text_is(scalar_text(&r->event), "labels"))
        return next(r) && read_labels(r);
    if (key == KEY_COUNT)
        return skip_node(r) && next(r) && skip_node(r);
    if (r->event.data.scalar.anchor || !is_plain_tag(r->event.data.scalar.tag))
        return broken(r, "a key has an anchor or a tag");
    if (r->seen[key])
        return broken_key(r, key, "stands twice");
    r->seen[key] = true;
    return next(r) && read_value(r, key);
}

static bool read_mapping(struct reader *r)
{
    if (r->event.type != YAML_MAPPING_START_EVENT)
        return broken(r, "no mapping at the top");
    while (next(r)) {
        if (r->event.type == YAML_MAPPING_END_EVENT)
            return true;
        if (!read_pair(r))
            return false;
    }
    return false;
}

static bool read_stream(struct reader *r)
{
    if (!next(r)) /* the stream's start */
        return false;
    if (!next(r)) /* the document's */
        return false;
    if (r->event.type != YAML_DOCUMENT_START_EVENT)
        return broken(r, "no document");
    if (!next(r) || !read_mapping(r) || !next(r) || !next(r)) /* the document's end, then the stream's */
        return false;
    if (r->event.type != YAML_STREAM_END_EVENT)
        return broken(r, "more than one document");
    if (r->service.name.length == 0)
        return broken(r, "no name");
    return text_is_dns_name(r->service.name) || broken(r, "name is no DNS-1123 name");
}

/* libyaml would also take UTF-16, which we could not check. */
static bool check_bytes(struct reader *r, struct text yaml)
{
    if (yaml.length > DEFINITION_MAX_BYTES)
        return broken(r, "larger than 1 MiB");
    if (yaml.length > 0 && memchr(yaml.data, '\0', yaml.length))
        return broken(r, "a NUL in it");
    return text_is_utf8(yaml) || broken(r, "no valid UTF-8");
}

bool definition_parse(struct arena *arena, struct text yaml, struct service *out, const char **why)
{
    struct reader r = {.arena = arena, .why = NULL};
    bool valid;

    *why = NULL;
    out->name = (struct text){NULL, 0};
    if (!check_bytes(&r, yaml)) {
        *why = r.why;
        return false;
    }
    if (!yaml_parser_initialize(&r.parser)) {
        *why = "no memory";
        return false;
    }
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)(yaml.length ? yaml.data : ""),
                                 yaml.length);
    valid = read_stream(&r);
    yaml_event_delete(&r.event);
    yaml_parser_delete(&r.parser);
    *why = r.why;
    r.service.namespace = out->namespace;
    *out = r.service;
    if (!text_is_dns_name(out->name))
        out->name = (struct text){NULL, 0};
    return valid;
}
