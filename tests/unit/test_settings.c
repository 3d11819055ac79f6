/* Settings: defaults, faults, secrets and their files. */
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "settings.h"

/* "NAME=value" strings, ended by NULL. */
static const char *lookup(void *context, const char *name)
{
    for (const char *const *pair = context; *pair; pair++)
        if (strncmp(*pair, name, strlen(name)) == 0 && (*pair)[strlen(name)] == '=')
            return *pair + strlen(name) + 1;
    return NULL;
}

static struct settings *read_with(const char *extra, char *faults, size_t size)
{
    const char *pairs[] = {"OSCAR_USERNAME=oscar", "OSCAR_PASSWORD=secret-word", extra, NULL};
    FILE *out = fmemopen(faults, size, "w");
    struct settings *settings = settings_read(lookup, pairs, out);

    fclose(out);
    return settings;
}

static void defaults_are_those_of_oscar(void **state)
{
    char faults[1024] = "";
    struct settings *s = read_with(NULL, faults, sizeof(faults));

    (void)state;
    assert_non_null(s);
    assert_string_equal(settings_text(s, OSCAR_NAMESPACE), "oscar");
    assert_string_equal(settings_text(s, OSCAR_SERVICES_NAMESPACE), "oscar-svc");
    assert_string_equal(settings_text(s, PROMETHEUS_URL),
                        "http://prometheus-server.monitoring.svc.cluster.local");
    assert_string_equal(settings_text(s, PROMETHEUS_CPU_QUERY),
                        "sum(increase(container_cpu_usage_seconds_total{namespace=~\"{{namespace}}\","
                        "service=~\"{{service}}\"}[{{range}}])) / 3600");
    assert_string_equal(settings_text(s, LOKI_QUERY),
                        "{namespace=\"{{namespace}}\", app=\"{{app}}\"} |~ \"/(job|run)/\"");
    assert_string_equal(settings_text(s, LOKI_EXPOSED_QUERY),
                        "{namespace=\"{{namespace}}\", app=\"{{app}}\"} |~ \"/system/services/.+/exposed\"");
    assert_false(settings_flag(s, OIDC_ENABLE));
    assert_int_equal(settings_number(s, OSCAR_METRICS_WORKERS), 16);
    assert_int_equal(settings_number(s, OSCAR_METRICS_DEADLINE), 50000);
    assert_true(settings_number(s, OSCAR_METRICS_MAX_RANGE) == 400LL * 86400 * 1000);
    assert_int_equal(settings_number(s, OSCAR_METRICS_MEMORY), 256 * 1024 * 1024);
    settings_release(s);
}

static void with_subdomain_routes_the_exposed_query_has_no_filter_on_the_path(void **state)
{
    char faults[1024] = "";
    struct settings *s = read_with("EXPOSED_SERVICES_USE_SUBDOMAIN_ROUTE=true", faults, sizeof(faults));

    (void)state;
    assert_non_null(s);
    assert_string_equal(settings_text(s, LOKI_EXPOSED_QUERY),
                        "{namespace=\"{{namespace}}\", app=\"{{app}}\"}");
    settings_release(s);
}

static void a_value_that_does_not_parse_is_a_fault_that_names_it(void **state)
{
    static const struct {
        const char *pair, *name;
        int line;
    } rows[] = {
        {"OSCAR_METRICS_WORKERS=0", "OSCAR_METRICS_WORKERS", __LINE__},
        {"OSCAR_METRICS_WORKERS=4x", "OSCAR_METRICS_WORKERS", __LINE__},
        {"OSCAR_METRICS_WORKERS=-4", "OSCAR_METRICS_WORKERS", __LINE__},
        {"OSCAR_METRICS_WORKERS=99999999999999999999", "OSCAR_METRICS_WORKERS", __LINE__},
        {"OSCAR_METRICS_DEADLINE=50", "OSCAR_METRICS_DEADLINE", __LINE__},
        {"OSCAR_METRICS_DEADLINE=0s", "OSCAR_METRICS_DEADLINE", __LINE__},
        {"OSCAR_METRICS_MAX_RANGE=9999999999999d", "OSCAR_METRICS_MAX_RANGE", __LINE__},
        {"OSCAR_METRICS_MEMORY=64MB", "OSCAR_METRICS_MEMORY", __LINE__},
        {"OIDC_ENABLE=yes", "OIDC_ENABLE", __LINE__},
        {"OIDC_ISSUERS=issuer.example", "OIDC_ISSUERS", __LINE__},
        {"OIDC_ISSUERS=https://issuer.example, ftp://x", "OIDC_ISSUERS", __LINE__},
        {"OIDC_ISSUERS=https://user:secret@issuer.example", "OIDC_ISSUERS", __LINE__},
        {"OIDC_ISSUERS=https://issuer.example/?realm=x", "OIDC_ISSUERS", __LINE__},
        {"OIDC_ISSUERS=https://issuer.example/#x", "OIDC_ISSUERS", __LINE__},
        {"PROMETHEUS_URL=prometheus:9090", "PROMETHEUS_URL", __LINE__},
        {"PROMETHEUS_URL=file:///etc/passwd", "PROMETHEUS_URL", __LINE__},
        {"PROMETHEUS_URL=http://", "PROMETHEUS_URL", __LINE__},
        {"LOKI_URL=none", "LOKI_URL", __LINE__},
        {"OSCAR_METRICS_LOG_TIMEZONE=Mars/Olympus", "OSCAR_METRICS_LOG_TIMEZONE", __LINE__},
        {"OSCAR_METRICS_SCOPE=all", "OSCAR_METRICS_SCOPE", __LINE__},
        {"EXPOSED_SERVICES_ROUTE_KIND=traefik", "EXPOSED_SERVICES_ROUTE_KIND", __LINE__},
        {"OSCAR_SERVICES_NAMESPACE=Not A Name", "OSCAR_SERVICES_NAMESPACE", __LINE__},
        {"OSCAR_PASSWORD_FILE=/nonexistent", "OSCAR_PASSWORD_FILE", __LINE__},
        {"LOKI_TOKEN_FILE=/nonexistent", "LOKI_TOKEN_FILE", __LINE__},
        {"LOKI_TOKEN_FILE=/", "LOKI_TOKEN_FILE", __LINE__},
        {"OSCAR_METRICS_PSEUDONYMS=yes", "OSCAR_METRICS_PSEUDONYMS", __LINE__},
        {"OSCAR_METRICS_PSEUDONYMS=true", "OSCAR_METRICS_PSEUDONYM_KEY", __LINE__},
        {"OSCAR_METRICS_PSEUDONYM_KEY_FILE=/nonexistent", "OSCAR_METRICS_PSEUDONYM_KEY_FILE", __LINE__},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char faults[1024] = "";
        struct settings *s = read_with(rows[i].pair, faults, sizeof(faults));

        if (s != NULL || strncmp(faults, rows[i].name, strlen(rows[i].name)) != 0 ||
            strchr(faults, '\n') == NULL || strstr(faults, "secret-word"))
            fail_msg("row of line %d: %s", rows[i].line, faults);
        settings_release(s);
    }
}

static void admins_without_a_name_or_a_password_are_faults(void **state)
{
    const char *none[] = {NULL}, *empty[] = {"OSCAR_USERNAME=oscar", "OSCAR_PASSWORD=", NULL},
               *colon[] = {"OSCAR_USERNAME=os:car", "OSCAR_PASSWORD=x", NULL};

    (void)state;
    assert_null(settings_read(lookup, none, NULL));
    assert_null(settings_read(lookup, empty, NULL));
    assert_null(settings_read(lookup, colon, NULL));
}

static void a_key_that_could_be_guessed_makes_no_pseudonyms(void **state)
{
    static const char *const short_key[] = {"OSCAR_USERNAME=oscar", "OSCAR_PASSWORD=x",
                                            "OSCAR_METRICS_PSEUDONYMS=true",
                                            "OSCAR_METRICS_PSEUDONYM_KEY=0123456789abcdef0123456789abcde",
                                            NULL},
                             *const long_enough[] = {
                                 "OSCAR_USERNAME=oscar", "OSCAR_PASSWORD=x", "OSCAR_METRICS_PSEUDONYMS=true",
                                 "OSCAR_METRICS_PSEUDONYM_KEY=0123456789abcdef0123456789abcdef", NULL};
    char faults[1024] = "", printed[16384] = "";
    FILE *out = fmemopen(faults, sizeof(faults), "w");
    struct settings *s;

    (void)state;
    assert_null(settings_read(lookup, (void *)(uintptr_t)short_key, out));
    fclose(out);
    assert_true(strncmp(faults, "OSCAR_METRICS_PSEUDONYM_KEY: ", 29) == 0);
    assert_null(strstr(faults, "0123456789"));
    s = settings_read(lookup, (void *)(uintptr_t)long_enough, NULL);
    assert_non_null(s);
    assert_true(settings_flag(s, OSCAR_METRICS_PSEUDONYMS));
    out = fmemopen(printed, sizeof(printed), "w");
    settings_print(s, out);
    fclose(out);
    assert_non_null(strstr(printed, "OSCAR_METRICS_PSEUDONYM_KEY=********  # environment\n"));
    assert_null(strstr(printed, "0123456789"));
    settings_release(s);
}

static void without_a_login_neither_a_name_nor_a_password_is_read(void **state)
{
    const char *none[] = {NULL},
               *some[] = {"OSCAR_USERNAME=os:car", "OSCAR_PASSWORD=x", "OSCAR_NAMESPACE=n", NULL},
               *unreadable[] = {"OSCAR_PASSWORD_FILE=/nowhere", "OSCAR_METRICS_PSEUDONYMS=true",
                                "OSCAR_METRICS_PSEUDONYM_KEY_FILE=/nowhere", NULL},
               *wrong[] = {"OIDC_ENABLE=x", NULL};
    const char *const *good[] = {none, some, unreadable};

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct settings *s = settings_read_without_login(lookup, (void *)(uintptr_t)good[i], NULL);

        assert_non_null(s);
        assert_string_equal(settings_text(s, OSCAR_USERNAME), "");
        assert_string_equal(settings_text(s, OSCAR_PASSWORD), "");
        assert_false(settings_flag(s, OSCAR_METRICS_PSEUDONYMS));
        assert_string_equal(settings_text(s, OSCAR_NAMESPACE), good[i] == some ? "n" : "oscar");
        settings_release(s);
    }
    assert_null(settings_read_without_login(lookup, wrong, NULL));
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void a_secret_comes_from_its_file_and_again_when_that_changes(void **state)
{
    char folder[] = "/tmp/oscar-metrics-test-XXXXXX", path[64], pair[96];
    const char *pairs[] = {"OSCAR_USERNAME=oscar", pair, NULL};
    struct settings_store *store;
    struct settings *s;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/password", folder);
    snprintf(pair, sizeof(pair), "OSCAR_PASSWORD_FILE=%s", path);
    write_file(path, "first\n");
    s = settings_read(lookup, pairs, NULL);
    assert_non_null(s);
    assert_string_equal(settings_text(s, OSCAR_PASSWORD), "first");
    assert_false(settings_stale(s));
    store = settings_store_new(s, lookup, pairs);

    write_file(path, "second one \r\n");
    s = settings_store_current(store);
    assert_string_equal(settings_text(s, OSCAR_PASSWORD), "second one ");
    settings_release(s);

    unlink(path); /* the last good one stays */
    s = settings_store_current(store);
    assert_string_equal(settings_text(s, OSCAR_PASSWORD), "second one ");
    settings_release(s);
    settings_store_free(store);
    rmdir(folder);
}

/* A store over one password, in a file of a folder of its own. */
struct vault {
    char folder[40], path[64], pair[96];
    const char *pairs[3];
    struct settings_store *store;
};

static void open_vault(struct vault *vault)
{
    struct settings *s;

    snprintf(vault->folder, sizeof(vault->folder), "/tmp/oscar-metrics-test-XXXXXX");
    assert_non_null(mkdtemp(vault->folder));
    snprintf(vault->path, sizeof(vault->path), "%s/password", vault->folder);
    snprintf(vault->pair, sizeof(vault->pair), "OSCAR_PASSWORD_FILE=%s", vault->path);
    write_file(vault->path, "alpha");
    vault->pairs[0] = "OSCAR_USERNAME=oscar";
    vault->pairs[1] = vault->pair;
    vault->pairs[2] = NULL;
    s = settings_read(lookup, vault->pairs, NULL);
    assert_non_null(s);
    vault->store = settings_store_new(s, lookup, vault->pairs);
}

static void close_vault(struct vault *vault)
{
    settings_store_free(vault->store);
    unlink(vault->path);
    rmdir(vault->folder);
}

/* The same length, in the same file, with the same time: looking at the file does not show it. */
static void write_unseen(const char *path, const char *text)
{
    struct stat before;
    int fd = open(path, O_WRONLY);

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &before), 0);
    assert_int_equal(pwrite(fd, text, strlen(text), 0), strlen(text));
    assert_int_equal(futimens(fd, (struct timespec[]){before.st_atim, before.st_mtim}), 0);
    close(fd);
}

static void expect_password(struct settings_store *store, const char *password)
{
    struct settings *s = settings_store_current(store);

    assert_string_equal(settings_text(s, OSCAR_PASSWORD), password);
    settings_release(s);
}

static void expect_history(struct settings_store *store, bool good, uint64_t successes, uint64_t failures,
                           const char *reason)
{
    struct settings_history history;

    settings_store_history(store, &history);
    assert_int_equal(history.good, good);
    assert_int_equal(history.successes, successes);
    assert_int_equal(history.failures, failures);
    assert_string_equal(history.reason, reason);
    assert_true(instant_compare(history.read, history.tried) <= 0);
    assert_true(instant_compare(history.tried, instant_now()) <= 0);
}

static void a_reload_reads_what_does_not_look_changed(void **state)
{
    struct vault vault;
    struct settings *held;

    (void)state;
    open_vault(&vault);
    expect_history(vault.store, true, 0, 0, "");
    held = settings_store_current(vault.store);
    write_unseen(vault.path, "gamma");
    expect_password(vault.store, "alpha");
    assert_true(settings_store_reload(vault.store));
    expect_password(vault.store, "gamma");
    assert_string_equal(settings_text(held, OSCAR_PASSWORD), "alpha");
    settings_release(held);
    expect_history(vault.store, true, 1, 0, "");
    close_vault(&vault);
}

static void what_cannot_be_read_leaves_the_last_good_ones_and_is_told(void **state)
{
    const char *reason = "OSCAR_PASSWORD_FILE: its file cannot be read";
    struct vault vault;

    (void)state;
    open_vault(&vault);
    unlink(vault.path);
    assert_false(settings_store_reload(vault.store));
    expect_history(vault.store, false, 0, 1, reason);
    assert_false(settings_store_reload(vault.store));
    expect_history(vault.store, false, 0, 2, reason);
    /* However many requests look at it. */
    for (size_t i = 0; i < 5; i++)
        expect_password(vault.store, "alpha");
    expect_history(vault.store, false, 0, 2, reason);
    write_file(vault.path, "");
    assert_false(settings_store_reload(vault.store));
    expect_history(vault.store, false, 0, 3, "OSCAR_PASSWORD_FILE: its file is empty or holds a NUL");
    write_file(vault.path, "alpha");
    expect_password(vault.store, "alpha");
    expect_history(vault.store, true, 1, 3, "");
    /* Without anybody asking. */
    unlink(vault.path);
    for (size_t i = 0; i < 5; i++)
        expect_password(vault.store, "alpha");
    expect_history(vault.store, false, 1, 4, reason);
    write_file(vault.path, "omega");
    assert_true(settings_store_reload(vault.store));
    expect_history(vault.store, true, 2, 4, "");
    close_vault(&vault);
}

/* Requests that read it again while it is wrong. */
static void another_reason_is_news_and_the_same_is_none(void **state)
{
    struct settings_history before, after;
    struct vault vault;

    (void)state;
    open_vault(&vault);
    unlink(vault.path);
    expect_password(vault.store, "alpha");
    settings_store_history(vault.store, &before);
    while (instant_compare(instant_now(), before.tried) == 0)
        continue;
    expect_password(vault.store, "alpha");
    settings_store_history(vault.store, &after);
    assert_true(instant_compare(before.tried, after.tried) < 0);
    assert_int_equal(instant_compare(before.read, after.read), 0);
    expect_history(vault.store, false, 0, 1, "OSCAR_PASSWORD_FILE: its file cannot be read");
    write_file(vault.path, "");
    for (size_t i = 0; i < 5; i++)
        expect_password(vault.store, "alpha");
    expect_history(vault.store, false, 0, 2, "OSCAR_PASSWORD_FILE: its file is empty or holds a NUL");
    unlink(vault.path);
    for (size_t i = 0; i < 5; i++)
        expect_password(vault.store, "alpha");
    expect_history(vault.store, false, 0, 3, "OSCAR_PASSWORD_FILE: its file cannot be read");
    close_vault(&vault);
}

static void a_file_that_comes_back_as_it_was_is_good_again(void **state)
{
    char aside[80];
    struct vault vault;

    (void)state;
    open_vault(&vault);
    snprintf(aside, sizeof(aside), "%s.aside", vault.path);
    assert_int_equal(rename(vault.path, aside), 0);
    expect_password(vault.store, "alpha");
    expect_history(vault.store, false, 0, 1, "OSCAR_PASSWORD_FILE: its file cannot be read");
    assert_int_equal(rename(aside, vault.path), 0);
    expect_password(vault.store, "alpha");
    expect_history(vault.store, true, 1, 1, "");
    close_vault(&vault);
}

static void a_reason_names_all_that_is_wrong_without_a_secret(void **state)
{
    struct settings_history history;
    struct vault vault;
    const char *more[5];

    (void)state;
    open_vault(&vault);
    more[0] = "OSCAR_USERNAME_FILE=/nowhere";
    more[1] = vault.pair;
    more[2] = "LOKI_TOKEN=secret-word";
    more[3] = "LOKI_TOKEN_FILE=/nowhere";
    more[4] = NULL;
    settings_store_free(vault.store);
    vault.store = settings_store_new(settings_read(lookup, vault.pairs, NULL), lookup, more);
    assert_false(settings_store_reload(vault.store));
    settings_store_history(vault.store, &history);
    assert_string_equal(history.reason, "OSCAR_USERNAME_FILE: its file cannot be read;"
                                        "LOKI_TOKEN_FILE: is set beside the variable itself: one of the two");
    close_vault(&vault);
}

/* Variables that are wrong beside those that are not, since files are not many enough. */
static void a_long_reason_is_cut(void **state)
{
    struct settings_history history;
    const char *many[SETTINGS_REASON_MAX_BYTES / 16 + 3];
    struct vault vault;
    char *faults = NULL;
    size_t length = 0, count = 0;
    FILE *out = open_memstream(&faults, &length);

    (void)state;
    open_vault(&vault);
    many[count++] = "OSCAR_USERNAME=oscar";
    many[count++] = vault.pair;
    many[count++] = "OSCAR_METRICS_WORKERS=x";
    many[count++] = "OSCAR_METRICS_DEADLINE=x";
    many[count++] = "OSCAR_METRICS_MEMORY=x";
    many[count++] = "OSCAR_METRICS_MAX_RANGE=x";
    many[count++] = "OSCAR_METRICS_LOG_TIMEZONE=No/Where";
    many[count++] = "LOKI_PARALLEL=x";
    many[count++] = "LOKI_URL=x";
    many[count++] = "PROMETHEUS_URL=x";
    many[count++] = "OSCAR_METRICS_KUBE_URL=x";
    many[count++] = "OIDC_ISSUERS=x";
    many[count] = NULL;
    settings_store_free(vault.store);
    vault.store = settings_store_new(settings_read(lookup, vault.pairs, NULL), lookup, many);
    assert_false(settings_store_reload(vault.store));
    settings_store_history(vault.store, &history);
    assert_null(settings_read(lookup, many, out));
    fclose(out);
    assert_true(length >= SETTINGS_REASON_MAX_BYTES);
    for (size_t i = 0; i < length; i++)
        faults[i] = faults[i] == '\n' ? ';' : faults[i];
    faults[SETTINGS_REASON_MAX_BYTES - 1] = '\0';
    assert_string_equal(history.reason, faults);
    free(faults);
    close_vault(&vault);
}

static void secrets_are_masked(void **state)
{
    char faults[1024] = "", printed[16384] = "";
    struct settings *s = read_with("PROMETHEUS_URL=http://joe:hidden@host:9090/x@y", faults, sizeof(faults));
    FILE *out = fmemopen(printed, sizeof(printed), "w");

    (void)state;
    assert_non_null(s);
    settings_print(s, out);
    fclose(out);
    assert_null(strstr(printed, "secret-word"));
    assert_null(strstr(printed, "hidden"));
    assert_non_null(strstr(printed, "OSCAR_PASSWORD=********  # environment\n"));
    assert_non_null(strstr(printed, "PROMETHEUS_URL=http://********@host:9090/x@y  # environment\n"));
    assert_non_null(strstr(printed, "OSCAR_METRICS_WORKERS=16  # default\n"));
    settings_release(s);
}

static void a_secret_has_a_length(void **state)
{
    static char secret[SETTINGS_SECRET_MAX_BYTES + 2], faults[512];
    char folder[] = "/tmp/oscar-metrics-test-XXXXXX", path[64], pair[96];
    const char *pairs[] = {"OSCAR_USERNAME=oscar", "OSCAR_PASSWORD=x", pair, NULL};
    struct settings *s;
    FILE *out;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/secret", folder);
    snprintf(pair, sizeof(pair), "LOKI_PASSWORD_FILE=%s", path);
    memset(secret, 's', SETTINGS_SECRET_MAX_BYTES);
    write_file(path, secret);
    s = settings_read(lookup, pairs, NULL);
    assert_non_null(s);
    assert_string_equal(settings_text(s, LOKI_PASSWORD), secret);
    settings_release(s);
    secret[SETTINGS_SECRET_MAX_BYTES] = 's';
    write_file(path, secret);
    out = fmemopen(faults, sizeof(faults), "w");
    assert_null(settings_read(lookup, pairs, out));
    fclose(out);
    assert_non_null(strstr(faults, "LOKI_PASSWORD_FILE: its file is larger than 64 KiB"));
    unlink(path);
    rmdir(folder);
}

static void a_login_that_nobody_could_send_is_a_fault(void **state)
{
    static char password[sizeof("OSCAR_PASSWORD=") + BASIC_CREDENTIALS_MAX_BYTES] = "OSCAR_PASSWORD=";
    const char *pairs[] = {"OSCAR_USERNAME=oscar", password, NULL};
    size_t start = strlen(password), most = BASIC_CREDENTIALS_MAX_BYTES - strlen("oscar:");
    char faults[512] = "";
    struct settings *s;
    FILE *out;

    (void)state;
    memset(password + start, 's', most);
    s = settings_read(lookup, pairs, NULL);
    assert_non_null(s);
    settings_release(s);
    password[start + most] = 's';
    out = fmemopen(faults, sizeof(faults), "w");
    assert_null(settings_read(lookup, pairs, out));
    fclose(out);
    assert_string_equal(faults,
                        "OSCAR_PASSWORD: is more than 8 KiB together with OSCAR_USERNAME: nobody could "
                        "log in\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_of_oscar),
        cmocka_unit_test(with_subdomain_routes_the_exposed_query_has_no_filter_on_the_path),
        cmocka_unit_test(a_value_that_does_not_parse_is_a_fault_that_names_it),
        cmocka_unit_test(admins_without_a_name_or_a_password_are_faults),
        cmocka_unit_test(a_key_that_could_be_guessed_makes_no_pseudonyms),
        cmocka_unit_test(without_a_login_neither_a_name_nor_a_password_is_read),
        cmocka_unit_test(a_secret_comes_from_its_file_and_again_when_that_changes),
        cmocka_unit_test(a_reload_reads_what_does_not_look_changed),
        cmocka_unit_test(what_cannot_be_read_leaves_the_last_good_ones_and_is_told),
        cmocka_unit_test(another_reason_is_news_and_the_same_is_none),
        cmocka_unit_test(a_file_that_comes_back_as_it_was_is_good_again),
        cmocka_unit_test(a_reason_names_all_that_is_wrong_without_a_secret),
        cmocka_unit_test(a_long_reason_is_cut),
        cmocka_unit_test(secrets_are_masked),
        cmocka_unit_test(a_secret_has_a_length),
        cmocka_unit_test(a_login_that_nobody_could_send_is_a_fault),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
