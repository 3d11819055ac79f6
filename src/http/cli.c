/* Options become the query of the same question over HTTP, so that one place checks both with the same words.
 * Whoever can read the settings and the logs is the admin. */
#include "http/cli.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "caps.h"
#include "http/handlers.h"
#include "http/server.h"
#include "net/fetch.h"
#include "report/render.h"
#include "report/report.h"
#include "settings.h"
#include "sources/job.h"
#include "util/arena.h"
#include "util/buf.h"

enum { QUERY_SIZE = 16 * 1024 * 1024 }; /* the kernel allows less than a third of it as arguments */

enum { EXIT_USAGE = 2, EXIT_INCOMPLETE = 3 };
enum { METER_MS = 500 };

enum option_code {
    OPTION_START,
    OPTION_END,
    OPTION_GROUP_BY,
    OPTION_SERVICE,
    OPTION_METRIC,
    OPTION_OWNER,
    OPTION_INCLUDE_USERS,
    OPTION_FORMAT,
    OPTION_HELP,
    OPTION_COUNT
};

static const struct option options[] = {
    {"start", required_argument, NULL, OPTION_START},
    {"end", required_argument, NULL, OPTION_END},
    {"group-by", required_argument, NULL, OPTION_GROUP_BY},
    {"service", required_argument, NULL, OPTION_SERVICE},
    {"metric", required_argument, NULL, OPTION_METRIC},
    {"owner", required_argument, NULL, OPTION_OWNER},
    {"include-users", no_argument, NULL, OPTION_INCLUDE_USERS},
    {"format", required_argument, NULL, OPTION_FORMAT},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

/* What the options are called in a query; NULL: not part of it. */
static const char *const query_names[OPTION_COUNT] = {
    [OPTION_START] = "start",   [OPTION_END] = "end",     [OPTION_GROUP_BY] = "group_by",
    [OPTION_METRIC] = "metric", [OPTION_OWNER] = "owner", [OPTION_INCLUDE_USERS] = "include_users",
    [OPTION_FORMAT] = "format",
};

enum form { FORM_TABLE, FORM_JSON, FORM_CSV };

struct arguments {
    const char *value[OPTION_COUNT]; /* NULL: not given; of a repeated one the last */
    enum form form;
};

void cli_print_help(FILE *out)
{
    fputs("Usage: oscar-metrics report [OPTION]...\n"
          "Prints a report with the same settings, without a web server and without a login: OSCAR_USERNAME "
          "and\n"
          "OSCAR_PASSWORD are not needed. OSCAR_METRICS_DEADLINE holds here, too.\n"
          "\n"
          "      --start=TIME     RFC 3339; 24 hours before the end when it is left out\n"
          "      --end=TIME       RFC 3339; now when it is left out\n"
          "      --group-by=KEY   a row for every service, user or country, instead of the summary\n"
          "      --include-users  with --group-by=service: the users of every service\n"
          "      --service=NAME   six numbers about one service, instead of the summary\n"
          "      --metric=KEY     with --service: only this one, cpu-hours or the like\n"
          "      --owner=ID       only what belongs to this owner\n"
          "      --format=FORMAT  table (the default), json (as over HTTP), or csv (with --group-by)\n"
          "  -h, --help           print this help\n"
          "\n"
          "Exit status: 0 the report is complete; 3 it is there, but some source was partial or missing, as "
          "it\n"
          "says; 2 the options are wrong; 1 it could not be made, for instance because of a setting.\n",
          out);
}

static int wrong_usage(const char *message)
{
    fprintf(stderr, "oscar-metrics: %s\n", message);
    return EXIT_USAGE;
}

static bool read_form(const char *format, enum form *form)
{
    static const char *const names[] = {[FORM_TABLE] = "table", [FORM_JSON] = "json", [FORM_CSV] = "csv"};
    struct text text = text_trim(text_of(format));

    *form = FORM_TABLE;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!text_is_nocase(text, names[i]))
            continue;
        *form = (enum form)i;
        return true;
    }
    return text.length == 0;
}

/* 0, or the status to exit with: what a query cannot say wrongly, since it has a path beside it. */
static int check(struct arguments *arguments)
{
    const char **value = arguments->value;

    if (!read_form(value[OPTION_FORMAT], &arguments->form))
        return wrong_usage("invalid format");
    if (value[OPTION_SERVICE] && value[OPTION_GROUP_BY])
        return wrong_usage("--service and --group-by exclude each other");
    if (value[OPTION_METRIC] && !value[OPTION_SERVICE])
        return wrong_usage("--metric needs --service");
    if (value[OPTION_INCLUDE_USERS] && !value[OPTION_GROUP_BY])
        return wrong_usage("--include-users needs --group-by");
    if (arguments->form == FORM_CSV && !value[OPTION_GROUP_BY])
        return wrong_usage("--format=csv needs --group-by");
    if (arguments->form == FORM_TABLE)
        value[OPTION_FORMAT] = NULL;
    return 0;
}

static int parse(int argc, char **argv, struct arguments *arguments)
{
    int code;

    optind = 2;
    while ((code = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (code == '?')
            return EXIT_USAGE;
        if (code == 'h')
            code = OPTION_HELP;
        arguments->value[code] = optarg ? optarg : "true";
    }
    if (optind < argc) {
        fprintf(stderr, "oscar-metrics: unexpected argument '%s' (see --help)\n", argv[optind]);
        return EXIT_USAGE;
    }
    return arguments->value[OPTION_HELP] ? 0 : check(arguments);
}

/* Every byte is escaped: none can mean something. */
static const char *query_of(struct arena *arena, const struct arguments *arguments)
{
    const char *query;
    struct buf buf;

    buf_init(&buf, QUERY_SIZE);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (query_names[i] == NULL || arguments->value[i] == NULL)
            continue;
        buf_format(&buf, "%s=", query_names[i]);
        for (const char *p = arguments->value[i]; *p; p++)
            buf_format(&buf, "%%%02X", (unsigned char)*p);
        buf_add_char(&buf, '&');
    }
    query = arena_string(arena, buf_text(&buf));
    buf_free(&buf);
    return query;
}

/* The exchange: it asks, and takes no answer, since the report is not written down as one over HTTP, and a
 * refusal is found in the request. */
struct terminal {
    struct exchange exchange;
    const char *query;
};

static const char *parameter(struct exchange *exchange, const char *name)
{
    return strcmp(name, "QUERY_STRING") == 0 ? ((struct terminal *)exchange)->query : NULL;
}

static size_t write_bytes(struct exchange *exchange, struct text bytes)
{
    (void)exchange;
    return bytes.length;
}

static int descriptor(struct exchange *exchange)
{
    (void)exchange;
    return -1;
}

/* A line on a terminal that says how far the reading is, as long as it takes longer than a moment. */
struct meter {
    struct progress progress;
    int64_t next;
    bool shown;
};

static void tell(struct progress *progress, uint64_t done, uint64_t total)
{
    struct meter *meter = (struct meter *)progress;
    int64_t now = clock_ms();

    if (now < meter->next)
        return;
    meter->next = now + METER_MS;
    meter->shown = true;
    if (done < total)
        fprintf(stderr, "\rreading logs: %d %%\033[K", (int)((double)done / (double)total * 100));
    else
        fputs("\rwaiting for other sources\033[K", stderr);
}

static bool print(struct text text, FILE *out)
{
    return fwrite(text.data, 1, text.length, out) == text.length && fflush(out) == 0;
}

static int print_report(struct arena *arena, const struct report *report, enum form form)
{
    bool (*const render[])(struct arena *, const struct report *, struct buf *) = {
        [FORM_TABLE] = render_table, [FORM_JSON] = render_json, [FORM_CSV] = render_csv};
    int status = report_is_complete(report) ? EXIT_SUCCESS : EXIT_INCOMPLETE;
    struct buf body, notes;

    buf_init(&body, RENDER_ANSWER_MAX_BYTES);
    buf_init(&notes, RENDER_ANSWER_MAX_BYTES);
    if (!render[form](arena, report, &body)) {
        fputs("oscar-metrics: answer too large\n", stderr);
        status = EXIT_FAILURE;
    } else if (!print(buf_text(&body), stdout)) {
        fprintf(stderr, "oscar-metrics: the report cannot be written: %s\n", strerror(errno));
        status = EXIT_FAILURE;
    } else if (form == FORM_JSON && isatty(STDOUT_FILENO) && !print(TEXT_LITERAL("\n"), stdout)) {
        status = EXIT_FAILURE;
    } else if (form != FORM_TABLE && render_shortfalls(arena, report, &notes)) {
        print(buf_text(&notes), stderr);
    }
    buf_free(&notes);
    buf_free(&body);
    return status;
}

static int refused(const struct request *request)
{
    fprintf(stderr, "oscar-metrics: %s\n", request->refusal);
    return request->status < 500 ? EXIT_USAGE : EXIT_FAILURE;
}

static int make_report(struct settings *settings, struct arena *arena, const struct arguments *arguments)
{
    static const struct exchange_ops ops = {parameter, write_bytes, descriptor};
    struct terminal terminal = {{.ops = &ops, .began = clock_ms()}, query_of(arena, arguments)};
    struct meter meter = {.progress = {tell}, .next = clock_ms() + METER_MS};
    struct server server;
    struct request request = {
        .exchange = &terminal.exchange,
        .arena = arena,
        .settings = settings,
        .server = &server,
        .now = instant_now(),
        .deadline = clock_ms() + settings_number(settings, OSCAR_METRICS_DEADLINE),
        .segment = text_of(arguments->value[OPTION_SERVICE]),
        .admitted = true,
        .identity = {.kind = IDENTITY_ADMIN},
        .question.kind = arguments->value[OPTION_SERVICE]    ? REPORT_SERVICE
                         : arguments->value[OPTION_GROUP_BY] ? REPORT_BREAKDOWN
                                                             : REPORT_SUMMARY,
        .progress = isatty(STDERR_FILENO) ? &meter.progress : NULL,
    };
    struct report report = {0};
    bool gathered;
    int status;

    server_open(&server, settings, false);
    request.fetcher = fetcher_new(server.fetch);
    gathered = gather_report(&request, &report) == GO_ON;
    if (meter.shown)
        fputs("\r\033[K", stderr);
    /* From here on as every other program at the head of a pipe. */
    signal(SIGPIPE, SIG_DFL);
    status = gathered ? print_report(arena, &report, arguments->form) : refused(&request);
    report_free(&report);
    fetcher_free(request.fetcher);
    server_close(&server);
    return status;
}

int cli_report(int argc, char **argv)
{
    struct arguments arguments = {0};
    int status = parse(argc, argv, &arguments);
    struct settings *settings;
    struct arena *arena;

    if (status != 0)
        return status;
    if (arguments.value[OPTION_HELP]) {
        cli_print_help(stdout);
        return EXIT_SUCCESS;
    }
    settings = settings_read_without_login(settings_environment, NULL, stderr);
    if (settings == NULL)
        return EXIT_FAILURE;
    signal(SIGPIPE, SIG_IGN);
    timezone_use(settings_text(settings, OSCAR_METRICS_LOG_TIMEZONE));
    if (fetch_library_init()) {
        arena = arena_new();
        status = make_report(settings, arena, &arguments);
        arena_free(arena);
        fetch_library_cleanup();
    } else {
        fputs("oscar-metrics: libcurl cannot be initialised\n", stderr);
        status = EXIT_FAILURE;
    }
    settings_release(settings);
    return status;
}
