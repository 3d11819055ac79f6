/* Countries of addresses, out of tests/data/countries.mmdb (what it holds is in countries.txt beside it), and
 * the file that changes. */
#include "unit.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <maxminddb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sources/geoip.h"
#include "util/address.h"
#include "util/hash.h"

enum { DATABASE_MAX_BYTES = 65536 };

/* Before the library's: how often it was asked. */
static size_t look_ups;

MMDB_lookup_result_s MMDB_lookup_sockaddr(const MMDB_s *mmdb, const struct sockaddr *address, int *error)
{
    MMDB_lookup_result_s (*next)(const MMDB_s *, const struct sockaddr *, int *);

    *(void **)&next = dlsym(RTLD_NEXT, "MMDB_lookup_sockaddr");
    __atomic_fetch_add(&look_ups, 1, __ATOMIC_RELAXED);
    return next(mmdb, address, error);
}

struct fixture {
    char folder[64], path[96];
    char data[DATABASE_MAX_BYTES]; /* the database's bytes */
    size_t length;
    struct geoip_store *store;
};

static void put(const char *path, const char *data, size_t length)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, length), length);
    close(fd);
}

/* As geoipupdate does: beside it, then in its place. */
static void replace_by(struct fixture *f, const char *data, size_t length)
{
    char other[112];

    snprintf(other, sizeof(other), "%s.new", f->path);
    put(other, data, length);
    assert_int_equal(rename(other, f->path), 0);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    const char *source = getenv("srcdir");
    char path[512];
    FILE *file;

    if (f == NULL)
        return -1;
    snprintf(path, sizeof(path), "%s/tests/data/countries.mmdb", source ? source : ".");
    file = fopen(path, "rb");
    if (file == NULL)
        return -1;
    f->length = fread(f->data, 1, sizeof(f->data), file);
    fclose(file);
    strncpy(f->folder, "/tmp/test-geoip-XXXXXX", sizeof(f->folder) - 1);
    if (f->length == 0 || mkdtemp(f->folder) == NULL)
        return -1;
    snprintf(f->path, sizeof(f->path), "%s/countries.mmdb", f->folder);
    put(f->path, f->data, f->length);
    f->store = geoip_store_new(f->path);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    geoip_store_free(f->store);
    unlink(f->path);
    rmdir(f->path);
    rmdir(f->folder);
    free(f);
    return 0;
}

/* ---- addresses ---- */

struct address_row {
    const char *text, *hex; /* hex NULL: no address */
    bool private;
    int line;
};

static const struct address_row address_rows[] = {
    {"192.0.2.1", "c0000201", false, __LINE__},
    {" 192.0.2.1\t", "c0000201", false, __LINE__},
    {"192.0.2.1:5678", "c0000201", false, __LINE__},
    {"192.0.2.1:0", "c0000201", false, __LINE__},
    {"192.0.2.1:65535", "c0000201", false, __LINE__},
    {"255.255.255.255", "ffffffff", false, __LINE__},
    {"2001:db8::1", "20010db8000000000000000000000001", false, __LINE__},
    {"2001:DB8:0:0:0:0:0:1", "20010db8000000000000000000000001", false, __LINE__},
    {"[2001:db8::1]", "20010db8000000000000000000000001", false, __LINE__},
    {"[2001:db8::1]:443", "20010db8000000000000000000000001", false, __LINE__},
    {"::ffff:192.0.2.1", "c0000201", false, __LINE__},
    {"::FFFF:c000:201", "c0000201", false, __LINE__},
    {"[::ffff:192.0.2.1]:443", "c0000201", false, __LINE__},
    {"64:ff9b::192.0.2.1", "0064ff9b0000000000000000c0000201", false, __LINE__},
    {"0.0.0.0", "00000000", true, __LINE__},
    {"10.0.0.1", "0a000001", true, __LINE__},
    {"127.255.255.255", "7fffffff", true, __LINE__},
    {"169.254.169.254", "a9fea9fe", true, __LINE__},
    {"172.16.0.0", "ac100000", true, __LINE__},
    {"172.31.255.255", "ac1fffff", true, __LINE__},
    {"192.168.255.255", "c0a8ffff", true, __LINE__},
    {"::ffff:10.0.0.1", "0a000001", true, __LINE__},
    {"::", "00000000000000000000000000000000", true, __LINE__},
    {"::1", "00000000000000000000000000000001", true, __LINE__},
    {"[::1]:80", "00000000000000000000000000000001", true, __LINE__},
    {"::192.0.2.1", "000000000000000000000000c0000201", true, __LINE__},
    {"fc00::1", "fc000000000000000000000000000001", true, __LINE__},
    {"fdff::1", "fdff0000000000000000000000000001", true, __LINE__},
    {"fe80::1", "fe800000000000000000000000000001", true, __LINE__},
    {"febf::1", "febf0000000000000000000000000001", true, __LINE__},
    {"9.255.255.255", "09ffffff", false, __LINE__},
    {"11.0.0.0", "0b000000", false, __LINE__},
    {"172.15.255.255", "ac0fffff", false, __LINE__},
    {"172.32.0.0", "ac200000", false, __LINE__},
    {"192.167.255.255", "c0a7ffff", false, __LINE__},
    {"192.169.0.0", "c0a90000", false, __LINE__},
    {"100.64.0.1", "64400001", false, __LINE__},
    {"fec0::1", "fec00000000000000000000000000001", false, __LINE__},
    {"fbff::1", "fbff0000000000000000000000000001", false, __LINE__},
    {"", NULL, false, __LINE__},
    {" ", NULL, false, __LINE__},
    {"-", NULL, false, __LINE__},
    {"localhost", NULL, false, __LINE__},
    {"1.2.3", NULL, false, __LINE__},
    {"1.2.3.4.5", NULL, false, __LINE__},
    {"1.2.3.256", NULL, false, __LINE__},
    {"01.2.3.4", NULL, false, __LINE__},
    {"1.2.3.4:", NULL, false, __LINE__},
    {"1.2.3.4:65536", NULL, false, __LINE__},
    {"1.2.3.4:123456", NULL, false, __LINE__},
    {"1.2.3.4:8x", NULL, false, __LINE__},
    {"1.2.3.4:80:90", NULL, false, __LINE__},
    {"1.2.3.4, 5.6.7.8", NULL, false, __LINE__},
    {"[1.2.3.4]:80", NULL, false, __LINE__},
    {"[2001:db8::1", NULL, false, __LINE__},
    {"[2001:db8::1]443", NULL, false, __LINE__},
    {"[2001:db8::1]:", NULL, false, __LINE__},
    {"[]", NULL, false, __LINE__},
    {"[", NULL, false, __LINE__},
    {"]", NULL, false, __LINE__},
    {":", NULL, false, __LINE__},
    {":80", NULL, false, __LINE__},
    {"2001:db8::1::", NULL, false, __LINE__},
    {"2001:db8::12345", NULL, false, __LINE__},
    {"fe80::1%eth0", NULL, false, __LINE__},
    {"1111:2222:3333:4444:5555:6666:255.255.255.255.255", NULL, false, __LINE__},
};

static void to_hex(const struct address *address, char out[33])
{
    for (size_t i = 0; i < (address->v6 ? 16u : 4u); i++)
        snprintf(out + 2 * i, 3, "%02x", address->bytes[i]);
}

static void addresses_in_all_their_spellings(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(address_rows); i++) {
        const struct address_row *row = &address_rows[i];
        struct address address;
        char hex[33] = "";
        bool valid = address_parse(text_of(row->text), &address);

        if (valid)
            to_hex(&address, hex);
        if (valid != (row->hex != NULL) || (valid && strcmp(hex, row->hex) != 0) ||
            (valid && address_is_private(&address) != row->private))
            fail_msg("row of line %d: %s: %s", row->line, row->text, hex);
    }
}

static void a_nul_ends_no_address(void **state)
{
    struct address address;

    (void)state;
    assert_false(address_parse((struct text){"1.2.3.4\0", 8}, &address));
    assert_false(address_parse((struct text){"::1\0x", 5}, &address));
    assert_false(address_parse((struct text){NULL, 0}, &address));
}

/* ---- countries ---- */

struct country_row {
    const char *client, *country;
    int line;
};

static const struct country_row country_rows[] = {
    {"192.0.2.1", "ES", __LINE__},
    {"192.0.2.127", "ES", __LINE__},
    {"192.0.2.128", "FR", __LINE__},
    {"192.0.2.200", "PT", __LINE__},
    {"192.0.2.201", "FR", __LINE__},
    {"192.0.2.1:5678", "ES", __LINE__},
    {"::ffff:192.0.2.1", "ES", __LINE__},
    {"[::ffff:192.0.2.200]:1", "PT", __LINE__},
    {"198.51.100.255", "DE", __LINE__}, /* "de" there */
    {"2001:db8::1", "IT", __LINE__},
    {"[2001:db8::1]:443", "IT", __LINE__},
    {"2001:db8:1::1", "GR", __LINE__},
    {"2001:db8:1::7", "SK", __LINE__},
    {"100.64.1.1", "NL", __LINE__},
    {"11.0.0.0", "US", __LINE__},
    {"172.15.255.255", "US", __LINE__},
    {"172.32.0.0", "US", __LINE__},
    {"192.169.0.0", "US", __LINE__},
    {"fec0::1", "US", __LINE__},
    /* Nowhere in it. */
    {"192.0.3.1", "", __LINE__},
    {"9.255.255.255", "", __LINE__},
    {"2001:db7::1", "", __LINE__},
    /* Private, though it has a country for them. */
    {"0.0.0.0", "", __LINE__},
    {"10.1.2.3", "", __LINE__},
    {"127.0.0.1", "", __LINE__},
    {"169.254.1.1", "", __LINE__},
    {"172.20.1.1", "", __LINE__},
    {"192.168.1.1", "", __LINE__},
    {"::ffff:10.1.2.3", "", __LINE__},
    {"::10.1.2.3", "", __LINE__},
    {"::11.0.0.0", "", __LINE__},
    {"::1", "", __LINE__},
    {"::", "", __LINE__},
    {"fd00::1", "", __LINE__},
    {"fe80::1", "", __LINE__},
    /* Records without what is asked for. */
    {"203.0.113.0", "", __LINE__},
    {"203.0.113.1", "", __LINE__},
    {"203.0.113.2", "", __LINE__},
    {"203.0.113.3", "", __LINE__},
    {"203.0.113.4", "", __LINE__},
    {"203.0.113.5", "", __LINE__},
    {"203.0.113.6", "", __LINE__},
    {"203.0.113.7", "", __LINE__},
    {"203.0.113.8", "", __LINE__},
    {"203.0.113.9", "", __LINE__},
    {"203.0.113.10", "", __LINE__},
    {"203.0.113.11", "", __LINE__},
    {"203.0.113.12", "", __LINE__},
    {"203.0.113.13", "", __LINE__},
    {"203.0.113.14", "", __LINE__},
    {"203.0.113.15", "", __LINE__},
    /* No addresses. */
    {"", "", __LINE__},
    {"garbage", "", __LINE__},
    {"192.0.2.1.1", "", __LINE__},
};

static void check_countries(struct geoip *geoip)
{
    struct geoip_reader *reader = geoip_reader_new(geoip);

    /* Twice: what is remembered is the same. */
    for (size_t i = 0; i < 2 * COUNT_OF(country_rows); i++) {
        const struct country_row *row = &country_rows[i % COUNT_OF(country_rows)];
        struct text country = geoip_country(reader, text_of(row->client));

        if (!text_is(country, row->country))
            fail_msg("row of line %d: %s: %.*s", row->line, row->client, (int)country.length, country.data);
    }
    geoip_reader_free(reader);
}

static void countries_are_those_of_the_narrowest_network(void **state)
{
    struct fixture *f = *state;
    struct geoip *geoip = geoip_store_current(f->store);

    assert_null(geoip_fault(geoip));
    check_countries(geoip);
    assert_false(geoip_is_damaged(geoip));
    geoip_release(geoip);
}

static bool country_is(struct geoip *geoip, const char *client, const char *country)
{
    struct geoip_reader *reader = geoip_reader_new(geoip);
    bool is = text_is(geoip_country(reader, text_of(client)), country);

    geoip_reader_free(reader);
    return is;
}

/* More addresses than the reader remembers: each pushes another out. */
static void a_full_memory_answers_the_same(void **state)
{
    struct fixture *f = *state;
    struct geoip *geoip = geoip_store_current(f->store);
    struct geoip_reader *reader = geoip_reader_new(geoip);

    for (unsigned i = 0; i < 200000; i++) {
        bool inside = i % 3 == 0;
        char client[64];

        snprintf(client, sizeof(client), "%s:%x::%x", inside ? "2001:db8" : "2001:db9", (i >> 16) + 2,
                 i & 0xffff);
        if (!text_is(geoip_country(reader, text_of(client)), inside ? "IT" : ""))
            fail_msg("%s", client);
    }
    geoip_reader_free(reader);
    geoip_release(geoip);
}

/* Of as many addresses as there are pairs, each at one of these by chance (Poisson, 1 on average), those are
 * looked up again that share theirs with two or more: 1 - (0.368 + 2 * 0.184) = 0.264. With half as many
 * pairs 0.594, with twice as many 0.090. */
static void a_full_memory_forgets(void **state)
{
    enum { ADDRESSES = 16384 };
    struct fixture *f = *state;
    struct geoip *geoip = geoip_store_current(f->store);
    struct geoip_reader *reader = geoip_reader_new(geoip);
    size_t again = 0;

    for (unsigned round = 0; round < 2; round++) {
        size_t before = look_ups;

        for (unsigned i = 0; i < ADDRESSES; i++) {
            uint64_t chance = hash_text(0, (struct text){(const char *)&i, sizeof(i)});
            char client[64];

            snprintf(client, sizeof(client), "2001:db8:2::%x:%x:%x:%x", (unsigned)(chance & 0xffff),
                     (unsigned)(chance >> 16 & 0xffff), (unsigned)(chance >> 32 & 0xffff),
                     (unsigned)(chance >> 48));
            assert_true(text_is(geoip_country(reader, text_of(client)), "IT"));
        }
        again = look_ups - before;
        assert_true(round > 0 || again == ADDRESSES);
    }
    assert_in_range(again, ADDRESSES * 20 / 100, ADDRESSES * 33 / 100);
    geoip_reader_free(reader);
    geoip_release(geoip);
}

static void without_a_database_nobody_has_a_country(void **state)
{
    struct geoip_store *store = geoip_store_new("");

    (void)state;
    assert_null(geoip_store_current(store));
    assert_null(geoip_store_current(NULL));
    assert_int_equal(geoip_generation(NULL), 0);
    assert_true(country_is(NULL, "192.0.2.1", ""));
    geoip_release(NULL);
    geoip_reader_free(NULL);
    geoip_store_free(store);
    geoip_store_free(NULL);
}

/* ---- the file changes ---- */

/* The file's bytes with all of one country in the place of another. */
static void rename_country(struct fixture *f, const char *from, const char *to)
{
    for (size_t i = 0; i + 3 <= f->length; i++)
        if (f->data[i] == 0x42 && memcmp(f->data + i + 1, from, 2) == 0)
            memcpy(f->data + i + 1, to, 2);
}

static void check_now(struct fixture *f, uint64_t generation, const char *country, const char *fault)
{
    struct geoip *geoip = geoip_store_current(f->store);

    assert_int_equal(geoip_generation(geoip), generation);
    assert_true(country_is(geoip, "192.0.2.1", country));
    if (fault == NULL)
        assert_null(geoip_fault(geoip));
    else
        assert_string_equal(geoip_fault(geoip), fault);
    geoip_release(geoip);
}

static void an_unchanged_file_stays_open(void **state)
{
    struct fixture *f = *state;
    struct geoip *first = geoip_store_current(f->store), *second = geoip_store_current(f->store);

    assert_ptr_equal(first, second);
    geoip_release(first);
    geoip_release(second);
    check_now(f, 1, "ES", NULL);
}

static void a_file_in_its_place_is_opened(void **state)
{
    struct fixture *f = *state;
    struct geoip *old = geoip_store_current(f->store);

    rename_country(f, "ES", "AD");
    replace_by(f, f->data, f->length);
    check_now(f, 2, "AD", NULL);
    assert_true(country_is(old, "192.0.2.1", "ES")); /* who holds the old one keeps it */
    geoip_release(old);
    check_now(f, 2, "AD", NULL);
}

static void a_file_that_is_cut_or_written_over_does_no_harm(void **state)
{
    struct fixture *f = *state;
    struct geoip *old = geoip_store_current(f->store);

    assert_int_equal(truncate(f->path, 0), 0);
    check_countries(old);
    geoip_release(old);
    check_now(f, 2, "", "the file is empty");
    rename_country(f, "ES", "AD");
    put(f->path, f->data, f->length);
    check_now(f, 3, "AD", NULL);
}

static void what_cannot_be_read_is_said_and_nothing_is_answered_from_before(void **state)
{
    struct fixture *f = *state;

    check_now(f, 1, "ES", NULL);
    unlink(f->path);
    check_now(f, 2, "", "No such file or directory");
    check_now(f, 2, "", "No such file or directory");
    assert_int_equal(mkdir(f->path, 0700), 0);
    check_now(f, 3, "", "not a regular file");
    rmdir(f->path);
    assert_int_equal(mkfifo(f->path, 0600), 0);
    check_now(f, 3, "", "not a regular file");
    unlink(f->path);
    put(f->path, "no database", 11);
    check_now(f, 4, "", "the file is not a MaxMind database, or is damaged");
    check_now(f, 4, "", "the file is not a MaxMind database, or is damaged");
    assert_int_equal(truncate(f->path, (off_t)1 << 31), 0); /* sparse */
    check_now(f, 5, "", "the file is larger than 1 GiB");
    replace_by(f, f->data, f->length);
    check_now(f, 6, "ES", NULL);
}

static void cut_anywhere_it_is_refused_or_reads_as_damaged(void **state)
{
    struct fixture *f = *state;

    for (size_t length = 0; length < f->length; length += 61) {
        struct geoip *geoip;

        replace_by(f, f->data, length);
        geoip = geoip_store_current(f->store);
        assert_non_null(geoip_fault(geoip));
        geoip_release(geoip);
    }
}

/* Where records point: behind the tree and its sixteen zeros. */
static size_t data_section(const struct fixture *f)
{
    static const char zeros[16];

    for (size_t i = 0; i + sizeof(zeros) <= f->length; i++)
        if (memcmp(f->data + i, zeros, sizeof(zeros)) == 0 && f->data[i + 16] != 0)
            return i + 16;
    fail_msg("no data section");
    return 0;
}

static void damaged_records_give_no_country_and_are_told(void **state)
{
    struct fixture *f = *state;
    size_t data = data_section(f);
    struct geoip *geoip;

    memset(f->data + data, 0xff, 512);
    replace_by(f, f->data, f->length);
    geoip = geoip_store_current(f->store);
    assert_null(geoip_fault(geoip));
    assert_false(geoip_is_damaged(geoip));
    assert_true(country_is(geoip, "192.0.2.1", ""));
    assert_true(geoip_is_damaged(geoip));
    geoip_release(geoip);
}

/* One byte after the other: nothing but an answer or a fault may come of it. */
static void any_damaged_byte_is_survived(void **state)
{
    struct fixture *f = *state;
    unsigned damaged = 0;

    for (size_t at = 0; at < f->length; at += 3) {
        struct geoip *geoip;
        struct geoip_reader *reader;
        char was = f->data[at];

        f->data[at] = (char)(was ^ (at % 2 ? 0xff : 0x81));
        replace_by(f, f->data, f->length);
        f->data[at] = was;
        geoip = geoip_store_current(f->store);
        reader = geoip_reader_new(geoip);
        for (size_t i = 0; i < COUNT_OF(country_rows); i++)
            assert_in_set(geoip_country(reader, text_of(country_rows[i].client)).length,
                          ((const LargestIntegralType[]){0, 2}), 2);
        damaged += geoip_is_damaged(geoip);
        geoip_reader_free(reader);
        geoip_release(geoip);
    }
    assert_true(damaged > 0);
}

/* ---- threads ---- */

static void *ask_often(void *context)
{
    struct geoip_store *store = context;

    for (int i = 0; i < 300; i++) {
        struct geoip *geoip = geoip_store_current(store);
        struct geoip_reader *reader = geoip_reader_new(geoip);
        struct text country = geoip_country(reader, TEXT_LITERAL("192.0.2.1"));

        if (!text_is(country, "ES") && !text_is(country, "AD"))
            return store;
        geoip_reader_free(reader);
        geoip_release(geoip);
    }
    return NULL;
}

static void all_workers_share_what_is_replaced_meanwhile(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[4];
    void *failed;

    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_often, f->store), 0);
    for (int i = 0; i < 50; i++) {
        rename_country(f, i % 2 ? "AD" : "ES", i % 2 ? "ES" : "AD");
        replace_by(f, f->data, f->length);
    }
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_in_all_their_spellings),
        cmocka_unit_test(a_nul_ends_no_address),
        TEST(countries_are_those_of_the_narrowest_network),
        TEST(a_full_memory_answers_the_same),
        TEST(a_full_memory_forgets),
        cmocka_unit_test(without_a_database_nobody_has_a_country),
        TEST(an_unchanged_file_stays_open),
        TEST(a_file_in_its_place_is_opened),
        TEST(a_file_that_is_cut_or_written_over_does_no_harm),
        TEST(what_cannot_be_read_is_said_and_nothing_is_answered_from_before),
        TEST(cut_anywhere_it_is_refused_or_reads_as_damaged),
        TEST(damaged_records_give_no_country_and_are_told),
        TEST(any_damaged_byte_is_survived),
        TEST(all_workers_share_what_is_replaced_meanwhile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
