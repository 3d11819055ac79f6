/* Who is believed to be who they say: the same whether certificates are shared among fetchers or not. */
#include "unit.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include "net/fetch.h"
#include "net/trust.h"
#include "tls_server.h"
#include "util/timestamp.h"

enum { PLENTY_MS = 30000 };

struct result {
    enum fetch_outcome outcome;
    long status;
    char why[256];
};

/* All that the tests need, made once. */
struct world {
    char folder[32], root_file[64], other_file[64], twin_file[64], middle_file[64], both_file[64],
        bad_file[64], none_file[64];
    struct tls_signer *root, *other, *twin, *middle;
};

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void append(const char *from, const char *to)
{
    char text[4096];
    FILE *source = fopen(from, "r"), *target = fopen(to, "a");

    assert_true(source && target);
    fwrite(text, 1, fread(text, 1, sizeof(text), source), target);
    fclose(source);
    fclose(target);
}

static int make_world(void **state)
{
    struct world *world = calloc(1, sizeof(*world));

    signal(SIGPIPE, SIG_IGN);
    if (world == NULL || !fetch_library_init())
        return -1;
    snprintf(world->folder, sizeof(world->folder), "/tmp/om-trust-XXXXXX");
    if (mkdtemp(world->folder) == NULL)
        return -1;
    snprintf(world->root_file, sizeof(world->root_file), "%s/root.pem", world->folder);
    snprintf(world->other_file, sizeof(world->other_file), "%s/other.pem", world->folder);
    snprintf(world->twin_file, sizeof(world->twin_file), "%s/twin.pem", world->folder);
    snprintf(world->middle_file, sizeof(world->middle_file), "%s/middle.pem", world->folder);
    snprintf(world->both_file, sizeof(world->both_file), "%s/both.pem", world->folder);
    snprintf(world->bad_file, sizeof(world->bad_file), "%s/bad.pem", world->folder);
    snprintf(world->none_file, sizeof(world->none_file), "%s/none.pem", world->folder);
    world->root = tls_signer_new("root", NULL);
    world->other = tls_signer_new("other", NULL);
    world->twin = tls_signer_new("root", NULL); /* of the same name, with another key */
    world->middle = tls_signer_new("middle", world->root);
    tls_signer_write(world->root, world->root_file);
    tls_signer_write(world->other, world->other_file);
    tls_signer_write(world->twin, world->twin_file);
    tls_signer_write(world->middle, world->middle_file);
    append(world->other_file, world->both_file);
    append(world->root_file, world->both_file);
    write_text(world->bad_file, "no certificate\n");
    *state = world;
    return 0;
}

static int unmake_world(void **state)
{
    struct world *world = *state;
    const char *files[] = {world->root_file,   world->other_file, world->twin_file,
                           world->middle_file, world->both_file,  world->bad_file};

    for (size_t i = 0; i < COUNT_OF(files); i++)
        unlink(files[i]);
    rmdir(world->folder);
    tls_signer_free(world->root);
    tls_signer_free(world->other);
    tls_signer_free(world->twin);
    tls_signer_free(world->middle);
    free(world);
    fetch_library_cleanup();
    return 0;
}

static void keep_result(void *context, const struct fetch_answer *answer)
{
    struct result *result = context;

    result->outcome = answer->outcome;
    result->status = answer->status;
    snprintf(result->why, sizeof(result->why), "%s", answer->why ? answer->why : "");
}

static struct result fetch(struct fetcher *fetcher, const char *url, const char *ca_file)
{
    const struct fetch_access access = {.ca_file = ca_file};
    struct fetch_request request = {
        .url = url, .access = &access, .max_bytes = 1000, .deadline = clock_ms() + PLENTY_MS};
    struct result result = {0};

    fetch_start(fetcher, &request, keep_result, &result);
    while (fetcher_running(fetcher) > 0)
        fetcher_wait(fetcher, -1, PLENTY_MS);
    return result;
}

static struct result fetch_anew(struct fetch_shared *shared, const char *url, const char *ca_file)
{
    struct fetcher *fetcher = fetcher_new(shared);
    struct result result = fetch(fetcher, url, ca_file);

    fetcher_free(fetcher);
    return result;
}

static void only_those_are_believed_whom_the_file_vouches_for(void **state)
{
    const struct world *world = *state;
    const struct {
        struct tls_shown shown;
        const char *ca_file; /* NULL: the system's */
        const char *why;     /* how it begins; NULL: it is answered */
        int line;
    } rows[] = {
        {{world->root, "IP:127.0.0.1", -1, 1}, world->root_file, NULL, __LINE__},
        {{world->root, "IP:127.0.0.1", -1, 1}, world->both_file, NULL, __LINE__},
        {{world->root, "IP:127.0.0.1", -1, 1},
         world->other_file,
         "the certificate is not accepted: ",
         __LINE__},
        {{world->root, "IP:127.0.0.1", -1, 1}, world->twin_file, "", __LINE__},
        {{world->root, "IP:127.0.0.1", -1, 1}, NULL, "", __LINE__},
        {{world->root, "IP:127.0.0.2", -1, 1},
         world->root_file,
         "the certificate is not accepted: ",
         __LINE__},
        {{world->root, "DNS:a.example", -1, 1},
         world->root_file,
         "the certificate is not accepted: ",
         __LINE__},
        {{world->root, "IP:127.0.0.1", -9, -1},
         world->root_file,
         "the certificate is not accepted: SSL certificate problem: certificate has expired",
         __LINE__},
        {{world->root, "IP:127.0.0.1", 1, 9},
         world->root_file,
         "the certificate is not accepted: SSL certificate problem: certificate is not yet valid",
         __LINE__},
        /* Who signed need not be a root; one that the file does not name, and nobody shows, does not help. */
        {{world->middle, "IP:127.0.0.1", -1, 1}, world->middle_file, NULL, __LINE__},
        {{world->middle, "IP:127.0.0.1", -1, 1},
         world->root_file,
         "the certificate is not accepted: ",
         __LINE__},
        {{world->root, "IP:127.0.0.1", -1, 1}, world->none_file, "the CA file cannot be used", __LINE__},
        {{world->root, "IP:127.0.0.1", -1, 1}, world->bad_file, "the CA file cannot be used", __LINE__},
        {{world->root, "IP:127.0.0.1", -1, 1}, world->folder, "the CA file cannot be used", __LINE__},
    };
    struct fetch_shared *shared = fetch_shared_new(), *ways[] = {NULL, shared, shared};

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct tls_server *server = tls_server_start(&rows[i].shown);

        for (size_t way = 0; way < COUNT_OF(ways); way++) {
            struct result result = fetch_anew(ways[way], tls_server_url(server), rows[i].ca_file);
            bool fine = rows[i].why ? result.outcome == FETCH_TLS &&
                                          strncmp(result.why, rows[i].why, strlen(rows[i].why)) == 0
                                    : result.outcome == FETCH_ANSWERED && result.status == 200;

            if (!fine)
                fail_msg("row of line %d, %s: %d %s", rows[i].line, ways[way] ? "shared" : "not shared",
                         (int)result.outcome, result.why);
        }
        tls_server_stop(server);
    }
    fetch_shared_free(shared);
}

static void a_file_that_changes_is_read_again(void **state)
{
    const struct world *world = *state;
    const struct tls_shown shown = {world->root, "IP:127.0.0.1", -1, 1};
    struct tls_server *server = tls_server_start(&shown);
    struct fetch_shared *shared = fetch_shared_new();
    const char *url = tls_server_url(server);
    char file[64], next[64];

    snprintf(file, sizeof(file), "%s/changing.pem", world->folder);
    snprintf(next, sizeof(next), "%s/next.pem", world->folder);
    assert_string_equal(fetch_anew(shared, url, file).why, "the CA file cannot be used");
    tls_signer_write(world->other, file);
    assert_int_equal(fetch_anew(shared, url, file).outcome, FETCH_TLS);
    tls_signer_write(world->root, next);
    assert_int_equal(rename(next, file), 0);
    assert_int_equal(fetch_anew(shared, url, file).outcome, FETCH_ANSWERED);
    tls_signer_write(world->other, next);
    assert_int_equal(rename(next, file), 0);
    assert_int_equal(fetch_anew(shared, url, file).outcome, FETCH_TLS);
    unlink(file);
    assert_string_equal(fetch_anew(shared, url, file).why, "the CA file cannot be used");
    tls_signer_write(world->root, file);
    assert_int_equal(fetch_anew(shared, url, file).outcome, FETCH_ANSWERED);
    unlink(file);
    fetch_shared_free(shared);
    tls_server_stop(server);
}

static void a_connection_is_for_those_who_trust_the_same(void **state)
{
    const struct world *world = *state;
    const struct tls_shown shown = {world->root, "IP:127.0.0.1", -1, 1};
    struct tls_server *server = tls_server_start(&shown);
    struct fetch_shared *shared = fetch_shared_new();
    struct fetcher *fetcher = fetcher_new(shared);
    const char *url = tls_server_url(server);

    assert_int_equal(fetch(fetcher, url, world->root_file).outcome, FETCH_ANSWERED);
    assert_int_equal(fetch(fetcher, url, world->root_file).outcome, FETCH_ANSWERED);
    assert_int_equal(tls_server_connections(server), 1);
    assert_int_equal(fetch(fetcher, url, world->other_file).outcome, FETCH_TLS);
    assert_int_equal(fetch(fetcher, url, NULL).outcome, FETCH_TLS);
    assert_int_equal(fetch(fetcher, url, world->root_file).outcome, FETCH_ANSWERED);
    assert_int_equal(tls_server_connections(server), 3);
    assert_int_equal(fetch(fetcher, url, world->both_file).outcome, FETCH_ANSWERED);
    assert_int_equal(tls_server_connections(server), 4);
    fetcher_free(fetcher);
    fetch_shared_free(shared);
    tls_server_stop(server);
}

static void a_connection_that_a_replaced_file_vouched_for_is_not_used_again(void **state)
{
    const struct world *world = *state;
    const struct tls_shown shown = {world->root, "IP:127.0.0.1", -1, 1};
    struct tls_server *server = tls_server_start(&shown);
    struct fetch_shared *shared = fetch_shared_new();
    struct fetcher *fetcher = fetcher_new(shared);
    const char *url = tls_server_url(server);
    char file[64], next[64];

    snprintf(file, sizeof(file), "%s/changing.pem", world->folder);
    snprintf(next, sizeof(next), "%s/next.pem", world->folder);
    tls_signer_write(world->root, file);
    assert_int_equal(fetch(fetcher, url, file).outcome, FETCH_ANSWERED);
    tls_signer_write(world->other, next);
    assert_int_equal(rename(next, file), 0);
    assert_int_equal(fetch(fetcher, url, file).outcome, FETCH_TLS);
    unlink(file);
    assert_string_equal(fetch(fetcher, url, file).why, "the CA file cannot be used");
    tls_signer_write(world->root, file);
    assert_int_equal(fetch(fetcher, url, file).outcome, FETCH_ANSWERED);
    unlink(file);
    fetcher_free(fetcher);
    fetch_shared_free(shared);
    tls_server_stop(server);
}

/* Certificates of another signer, as many bytes (a PEM file may have text behind it), with the old times. */
static void write_unseen(const struct tls_signer *signer, const char *path, const char *scratch)
{
    struct stat before, now;
    struct timespec times[2];
    int fd;

    assert_int_equal(stat(path, &before), 0);
    tls_signer_write(signer, scratch);
    assert_int_equal(stat(scratch, &now), 0);
    assert_true(now.st_size <= before.st_size);
    assert_int_equal(truncate(path, 0), 0);
    append(scratch, path);
    fd = open(path, O_WRONLY | O_APPEND);
    assert_true(fd >= 0);
    for (; now.st_size < before.st_size; now.st_size++)
        assert_int_equal(write(fd, "\n", 1), 1);
    times[0] = before.st_atim;
    times[1] = before.st_mtim;
    assert_int_equal(futimens(fd, times), 0);
    close(fd);
    unlink(scratch);
}

static void renewed_trust_reads_a_file_that_does_not_look_changed(void **state)
{
    const struct world *world = *state;
    const struct tls_shown shown = {world->root, "IP:127.0.0.1", -1, 1};
    struct tls_server *server = tls_server_start(&shown);
    struct fetch_shared *shared = fetch_shared_new();
    struct fetcher *fetcher = fetcher_new(shared);
    const char *url = tls_server_url(server);
    char file[64], scratch[64];

    snprintf(file, sizeof(file), "%s/changing.pem", world->folder);
    snprintf(scratch, sizeof(scratch), "%s/scratch.pem", world->folder);
    tls_signer_write(world->root, file);
    append(world->middle_file, file); /* room for a longer one */
    assert_int_equal(fetch(fetcher, url, file).outcome, FETCH_ANSWERED);
    write_unseen(world->other, file, scratch);
    assert_int_equal(fetch(fetcher, url, file).outcome, FETCH_ANSWERED);
    assert_int_equal(tls_server_connections(server), 1);
    fetch_shared_renew(shared);
    assert_int_equal(fetch(fetcher, url, file).outcome, FETCH_TLS);
    assert_true(fetch_shared_trusts(shared, file));
    unlink(file);
    assert_false(fetch_shared_trusts(shared, file));
    fetcher_free(fetcher);
    fetch_shared_free(shared);
    tls_server_stop(server);
}

static void renewing_leaves_connections_of_now_alone(void **state)
{
    const struct world *world = *state;
    const struct tls_shown shown = {world->root, "IP:127.0.0.1", -1, 1};
    struct tls_server *server = tls_server_start(&shown);
    struct fetch_shared *shared = fetch_shared_new();
    struct fetcher *fetcher = fetcher_new(shared);
    const char *url = tls_server_url(server);

    for (int round = 1; round <= 3; round++) {
        for (size_t i = 0; i < 3; i++)
            assert_int_equal(fetch(fetcher, url, world->root_file).outcome, FETCH_ANSWERED);
        assert_int_equal(tls_server_connections(server), round);
        fetch_shared_renew(shared);
    }
    fetcher_free(fetcher);
    fetch_shared_free(shared);
    tls_server_stop(server);
}

static void more_files_than_are_kept(void **state)
{
    const struct world *world = *state;
    const struct tls_shown shown = {world->root, "IP:127.0.0.1", -1, 1};
    enum { FILES = 12 };
    char files[FILES][64];
    struct fetch_shared *shared = fetch_shared_new();

    for (size_t i = 0; i < FILES; i++) {
        snprintf(files[i], sizeof(files[i]), "%s/%zu.pem", world->folder, i);
        tls_signer_write(i % 3 == 0 ? world->root : world->other, files[i]);
    }
    for (size_t round = 0; round < 3; round++) {
        struct tls_server *server = tls_server_start(&shown);

        for (size_t i = 0; i < FILES; i++)
            assert_int_equal(fetch_anew(shared, tls_server_url(server), files[i]).outcome,
                             i % 3 == 0 ? FETCH_ANSWERED : FETCH_TLS);
        tls_server_stop(server);
    }
    for (size_t i = 0; i < FILES; i++)
        unlink(files[i]);
    fetch_shared_free(shared);
}

/* A store that was read again would not believe the server any more. */
static void a_file_that_cannot_be_read_takes_no_place(void **state)
{
    const struct world *world = *state;
    const struct tls_shown shown = {world->root, "IP:127.0.0.1", -1, 1};
    struct fetch_shared *shared = fetch_shared_new();
    char file[64], scratch[64], nowhere[64];
    struct tls_server *server = tls_server_start(&shown);

    snprintf(file, sizeof(file), "%s/kept.pem", world->folder);
    snprintf(scratch, sizeof(scratch), "%s/scratch.pem", world->folder);
    snprintf(nowhere, sizeof(nowhere), "%s/nowhere.pem", world->folder);
    tls_signer_write(world->root, file);
    append(world->middle_file, file); /* room for a longer one */
    assert_int_equal(fetch_anew(shared, tls_server_url(server), file).outcome, FETCH_ANSWERED);
    for (size_t i = 0; i < TRUST_STORES_MAX; i++)
        assert_false(fetch_shared_trusts(shared, nowhere));
    write_unseen(world->other, file, scratch);
    assert_int_equal(fetch_anew(shared, tls_server_url(server), file).outcome, FETCH_ANSWERED);
    unlink(file);
    tls_server_stop(server);
    fetch_shared_free(shared);
}

enum { THREADS = 4, ROUNDS = 4 };

struct asker {
    struct fetch_shared *shared;
    const char *url, *file;
    size_t answered;
    pthread_t thread;
};

static void *ask(void *context)
{
    struct asker *asker = context;

    for (size_t i = 0; i < ROUNDS; i++)
        asker->answered += fetch_anew(asker->shared, asker->url, asker->file).outcome == FETCH_ANSWERED;
    return NULL;
}

static void threads_share_a_file_that_changes(void **state)
{
    const struct world *world = *state;
    const struct tls_shown shown = {world->root, "IP:127.0.0.1", -1, 1};
    struct tls_server *server = tls_server_start(&shown);
    struct fetch_shared *shared = fetch_shared_new();
    struct asker askers[THREADS];
    char file[64], next[64];

    snprintf(file, sizeof(file), "%s/changing.pem", world->folder);
    snprintf(next, sizeof(next), "%s/next.pem", world->folder);
    tls_signer_write(world->root, file);
    for (size_t i = 0; i < THREADS; i++) {
        askers[i] = (struct asker){shared, tls_server_url(server), file, 0, 0};
        assert_int_equal(pthread_create(&askers[i].thread, NULL, ask, &askers[i]), 0);
    }
    for (size_t i = 0; i < 50; i++) {
        tls_signer_write(world->root, next);
        assert_int_equal(rename(next, file), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(askers[i].thread, NULL);
        assert_int_equal(askers[i].answered, ROUNDS);
    }
    unlink(file);
    fetch_shared_free(shared);
    tls_server_stop(server);
}

struct verifier {
    struct trust *trust;
    const struct world *world;
    pthread_barrier_t *given;
    pthread_t thread;
    bool good;
};

static void *verify(void *context)
{
    struct verifier *verifier = context;
    SSL_CTX *connection = SSL_CTX_new(TLS_client_method());
    X509_STORE_CTX *chain = X509_STORE_CTX_new();
    FILE *file = fopen(verifier->world->middle_file, "r");
    X509 *certificate = file ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;
    X509_STORE *store = NULL;
    bool given = trust_give(verifier->trust, connection, verifier->world->root_file, NULL);

    pthread_barrier_wait(verifier->given);
    SSL_CTX_get0_verify_cert_store(connection, &store);
    verifier->good = given && certificate && X509_STORE_CTX_init(chain, store, certificate, NULL) == 1 &&
                     X509_verify_cert(chain) == 1;
    X509_STORE_CTX_free(chain);
    X509_free(certificate);
    SSL_CTX_free(connection);
    if (file)
        fclose(file);
    return NULL;
}

/* The first that verify by a certificate do so at once; ThreadSanitizer sees whether anything is written into
 * it. */
static void what_is_shared_does_not_change(void **state)
{
    pthread_barrier_t given;

    assert_int_equal(pthread_barrier_init(&given, NULL, THREADS), 0);
    for (size_t round = 0; round < 100; round += unit_stride()) {
        struct trust *trust = trust_new();
        struct verifier verifiers[THREADS];

        for (size_t i = 0; i < THREADS; i++) {
            verifiers[i] = (struct verifier){trust, *state, &given, 0, false};
            assert_int_equal(pthread_create(&verifiers[i].thread, NULL, verify, &verifiers[i]), 0);
        }
        for (size_t i = 0; i < THREADS; i++) {
            pthread_join(verifiers[i].thread, NULL);
            assert_true(verifiers[i].good);
        }
        trust_free(trust);
    }
    pthread_barrier_destroy(&given);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(SLOW(only_those_are_believed_whom_the_file_vouches_for)),
        cmocka_unit_test(a_file_that_changes_is_read_again),
        cmocka_unit_test(a_connection_is_for_those_who_trust_the_same),
        cmocka_unit_test(a_connection_that_a_replaced_file_vouched_for_is_not_used_again),
        cmocka_unit_test(renewed_trust_reads_a_file_that_does_not_look_changed),
        cmocka_unit_test(renewing_leaves_connections_of_now_alone),
        cmocka_unit_test(more_files_than_are_kept),
        cmocka_unit_test(a_file_that_cannot_be_read_takes_no_place),
        cmocka_unit_test(threads_share_a_file_that_changes),
        cmocka_unit_test(what_is_shared_does_not_change),
    };

    return cmocka_run_group_tests(tests, make_world, unmake_world);
}
