/* Definitions and the folder of them: what is read, what breaks one service, what breaks the inventory. */
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "settings.h"
#include "sources/inventory.h"
#include "util/arena.h"
#include "util/buf.h"

static const char *visibility_word(enum visibility visibility)
{
    static const char *const words[] = {"private", "restricted", "public"};

    return words[visibility];
}

/* "name owner image visibility user,user" with - for what is empty. */
static const char *describe(struct arena *arena, const struct service *service)
{
    struct buf out;
    const char *string;
    const struct text parts[] = {service->name, service->owner, service->image};

    buf_init(&out, 4096);
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        buf_add(&out, parts[i].length ? parts[i] : TEXT_LITERAL("-"));
        buf_add_char(&out, ' ');
    }
    buf_add_string(&out, visibility_word(service->visibility));
    for (size_t i = 0; i < service->allowed_user_count; i++) {
        buf_add_char(&out, i ? ',' : ' ');
        buf_add(&out, service->allowed_users[i]);
    }
    if (service->owner_name.length > 0)
        buf_format(&out, " (%.*s)", (int)service->owner_name.length, service->owner_name.data);
    string = arena_string(arena, buf_text(&out));
    buf_free(&out);
    return string;
}

#define T(s)                                                                                                 \
    {                                                                                                        \
        (s), sizeof(s) - 1                                                                                   \
    }

static void definitions_are_read(void **state)
{
    static const struct {
        struct text yaml;
        const char *expected;
        int line;
    } rows[] = {
        {T("name: yolo\n"), "yolo - - private", __LINE__},
        {T("---\nname: yolo\n...\n"), "yolo - - private", __LINE__},
        {T("\xef\xbb\xbfname: yolo\n"), "yolo - - private", __LINE__},
        {T("name: yolo\nowner: a1@egi.eu\nimage: images.example.org/x:1\nvisibility: "
           "restricted\nallowed_users: [b, "
           "c]\n"),
         "yolo a1@egi.eu images.example.org/x:1 restricted b,c", __LINE__},
        {T("{\"name\": \"yolo\", \"visibility\": \"public\", \"allowed_users\": []}"), "yolo - - public",
         __LINE__},
        {T("name: yolo\r\nvisibility: 'private'\r\nallowed_users:\r\n- b\r\n- 'c d'\r\n"),
         "yolo - - private b,c d", __LINE__},
        {T("name: yolo\nowner: ~\nvisibility: null\nallowed_users:\nimage: Null\n"), "yolo - - private",
         __LINE__},
        {T("name: yolo\nowner: \"null\"\n"), "yolo null - private", __LINE__},
        {T("name: yolo\nowner: 12\nimage: true\n"), "yolo 12 true private", __LINE__},
        {T("name: 123\nowner: '007'\n"), "123 007 - private", __LINE__},
        {T("name: yolo\nowner: !!str 12\n"), "yolo 12 - private", __LINE__},
        {T("name: yolo\nallowed_users: [b, '', ~, c]\n"), "yolo - - private b,c", __LINE__},
        {T("name: yolo\nallowed_users: [a1, a2, a3, a4, a5, a6, a7, a8, a9]\n"),
         "yolo - - private a1,a2,a3,a4,a5,a6,a7,a8,a9", __LINE__},
        {T("x: &a {visibility: public, name: no}\n<<: *a\nname: yolo\ny: *a\n"), "yolo - - private",
         __LINE__},
        {T("environment: {Variables: {name: no, owner: no}}\nname: yolo\nx: [[1, {a: [b]}], !t c]\n? [a, "
           "b]\n: c\n"),
         "yolo - - private", __LINE__},
        {T("Name: no\nname: yolo\nVISIBILITY: public\nx: 1\nx: 2\n"), "yolo - - private", __LINE__},
        {T("name: yolo\nowner: |\n  a b\n"), "yolo a b\n - private", __LINE__},
        {T("name: yolo\nlabels: {owner_name: Ana_B}\nowner: a\n"), "yolo a - private (Ana_B)", __LINE__},
        {T("labels:\n  x: [owner_name, {owner_name: no}]\n  owner_name: A\nname: yolo\n"),
         "yolo - - private (A)", __LINE__},
        {T("x: &a A\nlabels: {owner_name: *a}\nname: yolo\n"), "yolo - - private", __LINE__},
        {T("labels: {owner_name: [A]}\nname: yolo\n"), "yolo - - private", __LINE__},
        {T("labels: {owner_name: \"A\\0B\"}\nname: yolo\n"), "yolo - - private", __LINE__},
        {T("labels: {owner_name: ~}\nname: yolo\n"), "yolo - - private", __LINE__},
        {T("labels: [owner_name, A]\nname: yolo\n"), "yolo - - private", __LINE__},
        {T("labels: &a {? [b] : c}\nname: yolo\n"), "yolo - - private", __LINE__},
        {T("labels:\nname: yolo\n"), "yolo - - private", __LINE__},
    };
    struct arena *arena = arena_new();

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct service service = {.namespace = TEXT_LITERAL("kept")};
        const char *why;
        bool valid = definition_parse(arena, rows[i].yaml, &service, &why);

        if (!valid || strcmp(describe(arena, &service), rows[i].expected) != 0 ||
            !text_is(service.namespace, "kept"))
            fail_msg("row of line %d: %s", rows[i].line, valid ? describe(arena, &service) : why);
    }
    arena_free(arena);
}

static const struct {
    struct text yaml;
    const char *why;
    int line;
} broken_rows[] = {
    {T(""), "no document", __LINE__},
    {T("# nothing\n"), "no document", __LINE__},
    {T("---\n"), "no mapping at the top", __LINE__},
    {T("- name: yolo\n"), "no mapping at the top", __LINE__},
    {T("yolo\n"), "no mapping at the top", __LINE__},
    {T("{}"), "no name", __LINE__},
    {T("owner: a\n"), "no name", __LINE__},
    {T("name:\n"), "no name", __LINE__},
    {T("name: ''\n"), "no name", __LINE__},
    {T("name: Yolo\n"), "name is no DNS-1123 name", __LINE__},
    {T("name: a/b\n"), "name is no DNS-1123 name", __LINE__},
    {T("name: \"yolo\\0x\"\n"), "name has a NUL", __LINE__},
    {T("name: [yolo]\n"), "name is no text", __LINE__},
    {T("name: {a: b}\n"), "name is no text", __LINE__},
    {T("name: yolo\nname: yolo\n"), "name stands twice", __LINE__},
    {T("name: yolo\n'name': other\n"), "name stands twice", __LINE__},
    {T("name: yolo\nvisibility: public\nvisibility: private\n"), "visibility stands twice", __LINE__},
    {T("name: yolo\nvisibility: Public\n"), "visibility is none of private, restricted, public", __LINE__},
    {T("name: yolo\nvisibility: ''\n"), "visibility is none of private, restricted, public", __LINE__},
    {T("name: yolo\nvisibility: [public]\n"), "visibility is no text", __LINE__},
    {T("name: yolo\nowner: {a: b}\n"), "owner is no text", __LINE__},
    {T("name: yolo\nimage: []\n"), "image is no text", __LINE__},
    {T("name: yolo\nallowed_users: a\n"), "allowed_users is no list", __LINE__},
    {T("name: yolo\nallowed_users: {a: b}\n"), "allowed_users is no list", __LINE__},
    {T("name: yolo\nallowed_users: [[a]]\n"), "allowed_users is no text", __LINE__},
    {T("name: yolo\nallowed_users: [\"a\\0b\"]\n"), "allowed_users has a NUL", __LINE__},
    {T("x: &a b\nname: yolo\nowner: *a\n"), "owner is an alias", __LINE__},
    {T("x: &a [b]\nname: yolo\nallowed_users: *a\n"), "allowed_users is an alias", __LINE__},
    {T("x: &a b\nname: yolo\nallowed_users: [*a]\n"), "allowed_users is an alias", __LINE__},
    {T("name: yolo\nallowed_users: &a [b]\n"), "allowed_users has an anchor", __LINE__},
    {T("name: &a yolo\n"), "name has an anchor", __LINE__},
    {T("name: !!binary eW9sbw==\n"), "name has a tag", __LINE__},
    {T("x: &a name\n*a : yolo\n"), "a key is an alias", __LINE__},
    {T("&a name: yolo\n"), "a key has an anchor or a tag", __LINE__},
    {T("name: yolo\n---\nname: yolo\n"), "more than one document", __LINE__},
    {T("name: yolo\nx: [\n"), "no valid YAML in line 3", __LINE__},
    {T("name: yolo\n\tx: 1\n"), "no valid YAML in line 2", __LINE__},
    {T("name: yolo\nx: *a b\n  c\n"), "no valid YAML in line 2", __LINE__},
    {T("name: yolo\nx: \x01\n"), "no valid YAML: a character that it does not allow", __LINE__},
    {T("name: yolo\nx: \0\n"), "a NUL in it", __LINE__},
    {T("name: yolo\nx: \xff\n"), "no valid UTF-8", __LINE__},
    {T("\xff\xfen\0a\0m\0e\0:\0 \0x\0"), "a NUL in it", __LINE__},
};

static void broken_definitions(void **state)
{
    struct arena *arena = arena_new();

    (void)state;
    for (size_t i = 0; i < COUNT_OF(broken_rows); i++) {
        struct service service = {.namespace = {NULL, 0}};
        const char *why = "";

        if (definition_parse(arena, broken_rows[i].yaml, &service, &why) ||
            strcmp(why, broken_rows[i].why) != 0)
            fail_msg("row of line %d: %s", broken_rows[i].line, why);
    }
    arena_free(arena);
}

static void size_and_depth_are_bounded(void **state)
{
    static char yaml[DEFINITION_MAX_BYTES + 1];
    struct arena *arena = arena_new();
    struct service service = {.namespace = {NULL, 0}};
    const char *why;

    (void)state;
    memset(yaml, '#', sizeof(yaml));
    memcpy(yaml, "name: yolo\n", 11);
    assert_true(definition_parse(arena, (struct text){yaml, sizeof(yaml) - 1}, &service, &why));
    assert_false(definition_parse(arena, (struct text){yaml, sizeof(yaml)}, &service, &why));
    assert_string_equal(why, "larger than 1 MiB");
    memcpy(yaml + 11, "x: ", 3);
    memset(yaml + 14, '[', sizeof(yaml) - 14);
    assert_false(definition_parse(arena, (struct text){yaml, sizeof(yaml) - 1}, &service, &why));
    assert_string_equal(why, "nested too deeply");
    assert_true(text_is(service.name, "yolo"));
    arena_free(arena);
}

/* A folder of its own for each test, and a report over it. */
struct fixture {
    struct arena *arena;
    struct settings *settings;
    char folder[64];
    int root;
    struct source_context context;
    struct inventory inventory;
};

static const char *look_up(void *context, const char *name)
{
    if (strcmp(name, "OSCAR_USERNAME") == 0 || strcmp(name, "OSCAR_PASSWORD") == 0)
        return "oscar";
    return strcmp(name, "OSCAR_METRICS_SERVICES_DIR") == 0 ? context : NULL;
}

static void set_up(struct fixture *f, const char *configured)
{
    *f = (struct fixture){.arena = arena_new(), .folder = "/tmp/oscar-metrics-XXXXXX", .root = -1};
    assert_non_null(mkdtemp(f->folder));
    f->root = open(f->folder, O_RDONLY | O_DIRECTORY);
    assert_true(f->root >= 0);
    f->settings = settings_read(look_up, (void *)(uintptr_t)(configured ? configured : f->folder), stderr);
    assert_non_null(f->settings);
    f->context = (struct source_context){.arena = f->arena, .settings = f->settings, .now = {1767225600, 0}};
}

static void tear_down(struct fixture *f)
{
    const char *command = arena_format(f->arena, "rm -r '%s'", f->folder);

    close(f->root);
    assert_int_equal(system(command), 0);
    settings_release(f->settings);
    arena_free(f->arena);
}

static void put(const struct fixture *f, const char *path, const char *content)
{
    int fd = openat(f->root, path, O_WRONLY | O_CREAT | O_EXCL, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), strlen(content));
    close(fd);
}

static void put_folder(const struct fixture *f, const char *path)
{
    assert_int_equal(mkdirat(f->root, path, 0700), 0);
}

/* "level: namespace/name ... !broken ... in namespace ... half: notes"; "half": not read to its end. */
static const char *read_inventory(struct fixture *f)
{
    struct job *job = inventory_start(&f->context, false, &f->inventory);
    struct buf out;
    const char *string, *notes;

    while (job && job->ops->step(job) != JOB_DONE)
        continue;
    notes = status_notes(&f->inventory.status);
    buf_init(&out, 65536);
    buf_format(&out, "%s:", status_level_name(f->inventory.status.level));
    for (size_t i = 0; i < f->inventory.count; i++) {
        const struct service *s = &f->inventory.services[i];

        buf_format(&out, " %.*s/%.*s", (int)s->namespace.length, s->namespace.data, (int)s->name.length,
                   s->name.data);
    }
    for (size_t i = 0; i < f->inventory.broken_count; i++)
        buf_format(&out, " !%.*s", (int)f->inventory.broken[i].length, f->inventory.broken[i].data);
    for (size_t i = 0; i < f->inventory.broken_in_count; i++)
        buf_format(&out, " in %.*s", (int)f->inventory.broken_in[i].length, f->inventory.broken_in[i].data);
    if (!f->inventory.whole)
        buf_add_string(&out, " half");
    if (notes)
        buf_format(&out, ": %s", notes);
    string = arena_string(f->arena, buf_text(&out));
    buf_free(&out);
    return string;
}

static void services_are_sorted_and_carry_their_namespace(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f, NULL);
    put_folder(&f, "oscar-svc-a");
    put_folder(&f, "oscar-svc-a/deeper");
    put(&f, "oscar-svc-a/deeper/x.yaml", "name: too-deep\n");
    put(&f, "z.yaml", "name: yolo\n");
    put(&f, "a.yml", "name: cow\n");
    put(&f, "oscar-svc-a/yolo.yaml", "name: yolo\nvisibility: public\n");
    put(&f, "readme.txt", "name: no\n");
    put(&f, ".hidden.yaml", "name: hidden\n");
    put(&f, ".yaml", "name: hidden\n");
    put(&f, "yaml", "name: no\n");
    assert_string_equal(read_inventory(&f), "ok: oscar-svc/cow oscar-svc/yolo oscar-svc-a/yolo");
    assert_int_equal(f.inventory.services[2].visibility, VISIBILITY_PUBLIC);
    assert_true(f.inventory.status.has_time);
    assert_int_equal(f.inventory.status.last_updated.seconds, 1767225600);
    tear_down(&f);
}

static void an_empty_folder_is_no_services(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f, NULL);
    assert_string_equal(read_inventory(&f), "ok:");
    assert_non_null(f.inventory.services);
    tear_down(&f);
}

/* The way in which the kubelet mounts a ConfigMap. */
static void a_mounted_config_map(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f, NULL);
    put_folder(&f, "..2026_05_01");
    put(&f, "..2026_05_01/yolo.yaml", "name: yolo\n");
    assert_int_equal(symlinkat("..2026_05_01", f.root, "..data"), 0);
    assert_int_equal(symlinkat("..data/yolo.yaml", f.root, "yolo.yaml"), 0);
    assert_string_equal(read_inventory(&f), "ok: oscar-svc/yolo");
    tear_down(&f);
}

static void one_broken_file_costs_its_service(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f, NULL);
    put_folder(&f, "ns");
    put(&f, "good.yaml", "name: good\n");
    put(&f, "bad.yaml", "secret: [\n");
    put(&f, "ns/bad.yaml", "name: real\nowner: [secret]\n");
    put(&f, "ns/evil\n\xff.yaml", "");
    assert_string_equal(
        read_inventory(&f),
        "partial: oscar-svc/good !bad !real in ns in oscar-svc: oscar-svc/bad.yaml: no valid YAML in line 2; "
        "ns/bad.yaml: owner is no text; ns/evil \xef\xbf\xbd.yaml: no document");
    tear_down(&f);
}

static void what_is_no_regular_file_is_named_and_never_waited_for(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f, NULL);
    put_folder(&f, "a.yaml");
    assert_int_equal(mkfifoat(f.root, "b.yaml", 0600), 0);
    assert_int_equal(symlinkat("nowhere", f.root, "c.yaml"), 0);
    assert_int_equal(symlinkat("/dev/zero", f.root, "d.yaml"), 0);
    assert_int_equal(symlinkat("e.yaml", f.root, "e.yaml"), 0);
    assert_string_equal(read_inventory(&f),
                        "partial: !a !b !c !d !e in oscar-svc: oscar-svc/a.yaml: no regular file; "
                        "oscar-svc/b.yaml: no regular file; oscar-svc/c.yaml: no such file or "
                        "folder; oscar-svc/d.yaml: no regular file; oscar-svc/e.yaml: a symbolic "
                        "link that leads nowhere");
    tear_down(&f);
}

static void a_service_defined_twice_is_kept_once_and_hidden_from_users(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f, NULL);
    put(&f, "a.yaml", "name: yolo\nvisibility: public\n");
    put(&f, "b.yaml", "name: yolo\nvisibility: private\n");
    assert_string_equal(read_inventory(&f),
                        "partial: oscar-svc/yolo !yolo in oscar-svc: oscar-svc/yolo: defined more than once");
    assert_int_equal(f.inventory.services[0].visibility, VISIBILITY_PRIVATE);
    tear_down(&f);
}

static void a_folder_that_is_no_namespace_is_named(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f, NULL);
    put_folder(&f, "lost+found");
    put(&f, "yolo.yaml", "name: yolo\n");
    assert_string_equal(read_inventory(&f),
                        "partial: oscar-svc/yolo: lost+found/: not read, the name is no namespace's");
    tear_down(&f);
}

static void without_the_folder_nothing_is_known(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f, "/nonexistent");
    assert_string_equal(read_inventory(&f),
                        "missing: half: OSCAR_METRICS_SERVICES_DIR: no such file or folder");
    tear_down(&f);
    set_up(&f, "/dev/null");
    assert_string_equal(read_inventory(&f), "missing: half: OSCAR_METRICS_SERVICES_DIR: no folder");
    tear_down(&f);
    set_up(&f, "");
    assert_string_equal(read_inventory(&f),
                        "missing: half: not configured: this is no pod of a cluster, and neither "
                        "OSCAR_METRICS_KUBE_URL nor OSCAR_METRICS_SERVICES_DIR is set");
    tear_down(&f);
}

static void a_file_that_is_too_large(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f, NULL);
    put(&f, "big.yaml", "name: big\n");
    assert_int_equal(truncate(arena_format(f.arena, "%s/big.yaml", f.folder), DEFINITION_MAX_BYTES + 1), 0);
    assert_string_equal(read_inventory(&f),
                        "partial: !big in oscar-svc: oscar-svc/big.yaml: larger than 1 MiB");
    tear_down(&f);
}

static void too_many_files_are_no_inventory(void **state)
{
    struct fixture f;
    char name[32];

    (void)state;
    set_up(&f, NULL);
    for (int i = 0; i <= 20000; i++) {
        snprintf(name, sizeof(name), "f%d.yaml", i);
        put(&f, name, "");
    }
    assert_string_equal(read_inventory(&f),
                        "missing: half: OSCAR_METRICS_SERVICES_DIR: more than 20000 definitions");
    tear_down(&f);
}

static void stopped_before_the_end_nothing_is_known(void **state)
{
    struct fixture f;
    struct job *job;

    (void)state;
    set_up(&f, NULL);
    put(&f, "yolo.yaml", "name: yolo\n");
    job = inventory_start(&f.context, false, &f.inventory);
    job->ops->stop(job, JOB_DEADLINE);
    assert_int_equal(f.inventory.status.level, STATUS_MISSING);
    assert_int_equal(f.inventory.count, 0);
    assert_false(f.inventory.whole);
    assert_string_equal(status_notes(&f.inventory.status),
                        "the definitions were not listed before the deadline");
    job = inventory_start(&f.context, false, &f.inventory);
    job->ops->stop(job, JOB_GONE);
    tear_down(&f);
}

/* Zeros are no YAML, and quickly seen to be none: what is read counts. */
static void definitions_are_bounded_all_in_all(void **state)
{
    enum { FILES = INVENTORY_FOLDER_MAX_BYTES / DEFINITION_MAX_BYTES };
    struct fixture f;
    char name[32];

    (void)state;
    set_up(&f, NULL);
    for (int i = 0; i < FILES; i++) {
        snprintf(name, sizeof(name), "f%d.yaml", i);
        put(&f, name, "");
        assert_int_equal(truncate(arena_format(f.arena, "%s/%s", f.folder, name), DEFINITION_MAX_BYTES), 0);
    }
    assert_non_null(strstr(read_inventory(&f), "a NUL in it"));
    assert_true(f.inventory.whole);
    put(&f, "zzz.yaml", "name: one-more\n");
    f.inventory = (struct inventory){0};
    assert_int_equal(strncmp(read_inventory(&f), "missing: half: ", strlen("missing: half: ")), 0);
    assert_int_equal(f.inventory.status.note_count, FILES + 1);
    tear_down(&f);
}

/* Nothing was read of them, whatever was read before. */
static void what_cannot_be_read_takes_nothing_of_that_bound(void **state)
{
    enum { ENTRIES = INVENTORY_FOLDER_MAX_BYTES / DEFINITION_MAX_BYTES };
    struct fixture f;
    char name[32];

    (void)state;
    set_up(&f, NULL);
    put(&f, "a.yaml", "");
    assert_int_equal(truncate(arena_format(f.arena, "%s/a.yaml", f.folder), DEFINITION_MAX_BYTES), 0);
    for (int i = 0; i < ENTRIES; i++) {
        snprintf(name, sizeof(name), "b%d.yaml", i);
        if (i % 2)
            put_folder(&f, name);
        else
            assert_int_equal(symlinkat("nowhere", f.root, name), 0);
    }
    put(&f, "z.yaml", "name: z\n");
    assert_int_equal(strncmp(read_inventory(&f), "partial: ", strlen("partial: ")), 0);
    assert_true(f.inventory.whole);
    assert_int_equal(f.inventory.status.note_count, 1 + ENTRIES);
    tear_down(&f);
}

static void a_long_name_is_cut_in_a_note(void **state)
{
    char name[256] = "", expected[512];
    struct fixture f;

    (void)state;
    set_up(&f, NULL);
    memset(name, 'n', INVENTORY_SHOWN_MAX_BYTES - 5);
    memcpy(name + INVENTORY_SHOWN_MAX_BYTES - 5, ".yaml", 5);
    put(&f, name, "");
    snprintf(expected, sizeof(expected), ": oscar-svc/%s: no document", name);
    assert_non_null(strstr(read_inventory(&f), expected));
    f.inventory = (struct inventory){0};
    unlink(arena_format(f.arena, "%s/%s", f.folder, name));
    memset(name, 'n', INVENTORY_SHOWN_MAX_BYTES + 1);
    memcpy(name + INVENTORY_SHOWN_MAX_BYTES + 1, ".yaml", 5);
    put(&f, name, "");
    snprintf(expected, sizeof(expected), ": oscar-svc/%.*s...: no document", INVENTORY_SHOWN_MAX_BYTES, name);
    assert_non_null(strstr(read_inventory(&f), expected));
    tear_down(&f);
}

static void a_folder_is_read_step_by_step(void **state)
{
    struct fixture f;
    struct job *job;
    size_t steps = 0;
    char name[32];

    (void)state;
    set_up(&f, NULL);
    for (int i = 0; i < 2000; i++) {
        snprintf(name, sizeof(name), "f%d.yaml", i);
        put(&f, name, "name: x\n");
    }
    job = inventory_start(&f.context, false, &f.inventory);
    while (job->ops->step(job) != JOB_DONE)
        steps++;
    assert_in_range(steps, 2, 10000);
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(definitions_are_read),
        cmocka_unit_test(broken_definitions),
        cmocka_unit_test(size_and_depth_are_bounded),
        cmocka_unit_test(services_are_sorted_and_carry_their_namespace),
        cmocka_unit_test(an_empty_folder_is_no_services),
        cmocka_unit_test(a_mounted_config_map),
        cmocka_unit_test(one_broken_file_costs_its_service),
        cmocka_unit_test(what_is_no_regular_file_is_named_and_never_waited_for),
        cmocka_unit_test(a_service_defined_twice_is_kept_once_and_hidden_from_users),
        cmocka_unit_test(a_folder_that_is_no_namespace_is_named),
        cmocka_unit_test(without_the_folder_nothing_is_known),
        cmocka_unit_test(a_file_that_is_too_large),
        cmocka_unit_test(too_many_files_are_no_inventory),
        cmocka_unit_test(stopped_before_the_end_nothing_is_known),
        cmocka_unit_test(definitions_are_bounded_all_in_all),
        cmocka_unit_test(what_cannot_be_read_takes_nothing_of_that_bound),
        cmocka_unit_test(a_long_name_is_cut_in_a_note),
        cmocka_unit_test(a_folder_is_read_step_by_step),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
