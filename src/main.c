/* Options, settings, libraries, the socket, workers, signals. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "config.h"
#include "http/cgi.h"
#include "http/cli.h"
#include "http/fcgi.h"
#include "http/listen.h"
#include "http/server.h"
#include "http/worker.h"
#include "log.h"
#include "net/fetch.h"
#include "settings.h"
#include "util/timestamp.h"

enum option_code { OPTION_HELP = 'h', OPTION_VERSION = 'V', OPTION_CHECK = 'c', OPTION_PAGE = 1000 };

static const struct option options[] = {
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {"check-config", no_argument, NULL, OPTION_CHECK},
    {"print-settings-page", no_argument, NULL, OPTION_PAGE},
    {NULL, 0, NULL, 0},
};

static void print_help(void)
{
    puts("Usage: oscar-metrics [OPTION]\n"
         "       oscar-metrics report [OPTION]...\n"
         "Usage reporting of OSCAR: a FastCGI application that answers /system/metrics.\n"
         "\n"
         "Without an option it serves requests on the listening socket on descriptor 0 (spawn-fcgi,\n"
         "systemd) or on OSCAR_METRICS_LISTEN, until SIGTERM, SIGINT or SIGUSR1. SIGHUP and SIGUSR2 have it "
         "read\n"
         "files anew: secrets, certificates, countries. Started by a web server as plain CGI "
         "(GATEWAY_INTERFACE is\n"
         "set), it answers that one request; options do not count then.\n"
         "\n"
         "  -c, --check-config         print every setting in force, secrets masked; exit 1 when one is "
         "wrong\n"
         "      --print-settings-page  print the settings as a page of documentation (Markdown)\n"
         "  -h, --help                 print this help\n"
         "  -V, --version              print the version\n");
    cli_print_help(stdout);
    puts("\nSettings are environment variables:");
    settings_print_help(stdout);
}

static int check_config(void)
{
    struct settings *settings = settings_read(settings_environment, NULL, stderr);

    if (settings == NULL)
        return EXIT_FAILURE;
    settings_print(settings, stdout);
    settings_release(settings);
    return EXIT_SUCCESS;
}

/* From here on signals wait until they are asked for. First of all: libfcgi puts handlers of its own in their
 * place, and threads inherit what their starter blocks. */
static void hold_signals(sigset_t *signals)
{
    sigemptyset(signals);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGINT);
    sigaddset(signals, SIGUSR1);
    sigaddset(signals, SIGHUP);
    sigaddset(signals, SIGUSR2); /* what multiwatch passes on to all of its children */
    pthread_sigmask(SIG_BLOCK, signals, NULL);
}

/* Until one that ends the program, which is returned; the others have files read anew. */
static int wait_for_end(const struct server *server, const sigset_t *signals)
{
    int signal_number = 0;

    for (;;) {
        if (sigwait(signals, &signal_number) != 0)
            continue;
        if (signal_number != SIGHUP && signal_number != SIGUSR2)
            return signal_number;
        server_reload(server);
    }
}

/* Serves until a signal; EXIT_FAILURE when something would not end in time. */
static int run(const struct server *server, int listening, const struct settings *settings,
               const sigset_t *signals)
{
    int64_t deadline = settings_number(settings, OSCAR_METRICS_DEADLINE);
    struct pool *pool;

    pool = pool_start(server, listening, (size_t)settings_number(settings, OSCAR_METRICS_WORKERS));
    if (pool == NULL) {
        log_event(LOG_ERROR, "the workers cannot be started", "reason", strerror(errno), NULL);
        return EXIT_FAILURE;
    }
    log_event(LOG_INFO, "ready", "version", PACKAGE_VERSION, NULL);
    log_event(LOG_INFO, "stopping", "signal", strsignal(wait_for_end(server, signals)), NULL);
    if (pool_stop(pool, deadline))
        return EXIT_SUCCESS;
    log_event(LOG_ERROR, "some requests did not end before the deadline", NULL);
    _exit(EXIT_FAILURE);
}

/* Every report holds all its log files open at once. The soft limit is low for the sake of programs that use
 * select(); nothing here does. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit); /* what is missing then, reports say */
}

static int serve_requests(void)
{
    struct settings *settings;
    struct server server;
    const char *address, *why = "";
    int listening, status;
    sigset_t signals;

    hold_signals(&signals);
    settings = settings_read(settings_environment, NULL, stderr);
    if (settings == NULL)
        return EXIT_FAILURE;
    raise_descriptor_limit();
    server_open(&server, settings, true);
    address = settings_text(settings, OSCAR_METRICS_LISTEN);
    signal(SIGPIPE, SIG_IGN);
    timezone_use(settings_text(settings, OSCAR_METRICS_LOG_TIMEZONE));
    listening = listen_open(address, &why);
    if (listening < 0) {
        fprintf(stderr, "OSCAR_METRICS_LISTEN: %s\n", why);
        status = EXIT_FAILURE;
    } else if (!fcgi_init() || !fetch_library_init()) {
        fputs("libfcgi or libcurl cannot be initialised\n", stderr);
        status = EXIT_FAILURE;
    } else {
        status = run(&server, listening, settings, &signals);
        listen_remove(address);
        fetch_library_cleanup();
    }
    server_close(&server);
    settings_release(settings);
    return status;
}

int main(int argc, char **argv)
{
    int code;

    /* Before the arguments: a web server may pass pieces of the query as such (RFC 3875, section 4.4). */
    if (cgi_is_asked())
        return cgi_answer();
    if (argc > 1 && strcmp(argv[1], "report") == 0)
        return cli_report(argc, argv);
    code = getopt_long(argc, argv, "hVc", options, NULL);
    if (code == -1 && optind < argc) {
        fprintf(stderr, "oscar-metrics: unknown argument '%s' (see --help)\n", argv[optind]);
        return 2;
    }
    switch (code) {
    case OPTION_HELP:
        print_help();
        return EXIT_SUCCESS;
    case OPTION_VERSION:
        puts("oscar-metrics " PACKAGE_VERSION);
        return EXIT_SUCCESS;
    case OPTION_CHECK:
        return check_config();
    case OPTION_PAGE:
        settings_print_markdown(stdout);
        return EXIT_SUCCESS;
    case -1:
        return serve_requests();
    default:
        return 2;
    }
}
