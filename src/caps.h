/* Every limit on what comes from outside, on what is kept, and on how long anything is waited for: in one
 * place, by folder and file. The name says what is limited and in which unit, the comment what happens when
 * it is met. docs/limits.md has a row for each, with the test that meets it; tests/limits.sh holds the two
 * together.
 *
 * Not here, because an operator may set them (settings_table.c): OSCAR_METRICS_DEADLINE, one request's time,
 * which bounds every wait below; OSCAR_METRICS_MAX_RANGE; OSCAR_METRICS_MEMORY, of what is remembered, and of
 * what one report adds up; OSCAR_METRICS_WORKERS, LOKI_PARALLEL. Nor are sizes here that fit whatever can
 * come (`_SIZE`; tests/limits.sh has them all), nor how much is taken at a time of something without an end
 * (`_PIECE`).
 */
#ifndef OM_CAPS_H
#define OM_CAPS_H

/* ---- top ---- */
enum {
    LOG_LINE_MAX_BYTES = 16 * 1024,        /* of a line of our log: what is left of it */
    LOG_VALUE_MAX_BYTES = 1024,            /* of one value in it: cut, "..." */
    SETTINGS_SECRET_MAX_BYTES = 64 * 1024, /* of a secret's file: the start ends, saying so */
    SETTINGS_REASON_MAX_BYTES = 512,       /* of what is wrong with changed settings, in words: cut */
};

/* ---- util ---- */
enum {
    JSON_DEPTH_MAX = 32, /* values in values: no JSON */
    /* objects and lists: no JSON. Of the two bytes "{}" json-c makes 800. */
    JSON_LISTS_MAX = 1024 * 1024,
    JSON_DISTINCT_LISTS_MAX = 16 * 1024, /* objects and lists, where members are compared: no JSON */
};

/* ---- model ---- */
enum {
    STATUS_NOTES_MAX = 8,         /* of one source: what comes after is counted, "and 3 more" */
    STATUS_NOTE_MAX_BYTES = 1024, /* of one note: cut */
};

/* ---- net ---- */
enum {
    CLIENT_LOOK_MS = 200, /* between two looks at a client that has sent more than was read */

    FETCH_CONNECT_MS = 5000,                   /* the backend is not reached */
    FETCH_HEADERS_MAX_BYTES = 256 * 1024,      /* of an answer, all in all: the fetch fails */
    FETCH_HEADER_MAX_BYTES = 1024 * 1024,      /* of a header that is sent: the fetch fails */
    FETCH_RETRY_AFTER_MAX_SECONDS = 24 * 3600, /* more is this much */
    FETCH_KEPT_CONNECTIONS_MAX = 16,           /* of one worker: the oldest is closed */

    OUTAGE_MS = 3000,          /* that a backend is not tried again */
    OUTAGE_BACKENDS_MAX = 16,  /* known at once: the one that failed the longest time ago goes */
    OUTAGE_WHY_MAX_BYTES = 64, /* of the reason: cut */

    TRAFFIC_REASON_MAX_BYTES = 256, /* of why a backend failed last: cut */

    TRUST_STORES_MAX = 8, /* of certificates kept at once: the oldest goes */
};

/* ---- sources: where services come from ---- */
enum {
    NOTE_WORDS_MAX_BYTES = 200,      /* of a backend's words in a note: cut */
    INVENTORY_SHOWN_MAX_BYTES = 120, /* of a stranger's name in a note: cut */

    DEFINITION_MAX_BYTES = 1024 * 1024, /* the definition cannot be read: partial */
    DEFINITION_DEPTH_MAX = 64,          /* the same */

    INVENTORY_FOLDER_FILES_MAX = 20000,             /* files, and folders: the inventory is missing */
    INVENTORY_FOLDER_MAX_BYTES = 256 * 1024 * 1024, /* of all definitions: the inventory is missing */
    INVENTORY_FOLDER_STEP_MS = 5,                   /* of reading: then others have their turn */

    /* a service made private is to be hidden within ten seconds: read again */
    INVENTORY_KUBE_SHARED_MS = 5000,
    INVENTORY_KUBE_FAULT_MS = 1000, /* so long nobody tries again what has just failed */

    KUBE_TOKEN_MAX_BYTES = 64 * 1024,  /* of the token's file, one less being fine: missing */
    KUBE_STATUS_MAX_BYTES = 64 * 1024, /* of a refusal: its words are not read */
    KUBE_REASON_MAX_BYTES = 40,        /* of its reason: not told */
    KUBE_ACCOUNT_MAX_BYTES = 200,      /* of the account that was refused: not told */

    KUBE_LIST_PAGE_ITEMS_MAX = 500,              /* asked for in a page: the next page */
    KUBE_LIST_PAGE_MAX_BYTES = 32 * 1024 * 1024, /* of a page: asked for again with fewer items */
    KUBE_LIST_MAX_BYTES = 256 * 1024 * 1024,     /* of a list: missing */
    KUBE_LIST_ITEMS_MAX = 100000,                /* of a list: missing */
    KUBE_LIST_PAGES_MAX = 20000,                 /* of a list: missing */
    KUBE_LIST_CONTINUE_MAX_BYTES = 16 * 1024,    /* of what names the next page: missing */
    KUBE_LIST_RESTARTS_MAX = 3,                  /* from the first page, after one expired: missing */
    KUBE_LIST_RETRIES_MAX = 3,                   /* of what passes: missing */
    KUBE_LIST_RETRY_MS = 300,                    /* before that, where the server names no pause */
    KUBE_LIST_STEP_MS = 5,                       /* of taking items: then others have their turn */

    KUBE_SNAPSHOT_OWNER_MAX_BYTES = 1024, /* of an owner's id: the namespace counts as unreadable */
    KUBE_SNAPSHOT_ID_MAX_BYTES = 256,     /* of a uid or a version: parsed anew each time */

    PODS_RESTARTS_MAX = 1000 * 1000 * 1000, /* of a container: the pod cannot be read */
};

/* ---- sources: hours from Prometheus ---- */
enum {
    TEMPLATE_MAX_BYTES = 64 * 1024, /* of a query: missing, saying so */

    /* queries of one kind; with both kinds still below the 20 that it runs at a time */
    PROMETHEUS_AT_ONCE_MAX = 8,
    PROMETHEUS_ANSWER_MAX_BYTES = 4 * 1024 * 1024, /* the value is missing */
    /* of services in one query, before they are escaped: another query */
    PROMETHEUS_NAMES_MAX_BYTES = 16 * 1024,
    /* of one kind; each query has one: the value is missing */
    PROMETHEUS_RETRIES_MAX = PROMETHEUS_AT_ONCE_MAX,
    PROMETHEUS_RETRY_MS = 1000,     /* before that, where the server names no pause */
    PROMETHEUS_LATE_PIECES_MAX = 8, /* that a query is cut in which has no answer after half of the time */
    /* Five times the longest scrape interval that Prometheus advises (two minutes): increase() needs two
     * samples at least, and is the less exact the fewer there are. Of a shorter piece the value is missing.
     */
    PROMETHEUS_PIECE_MIN_MS = 10 * 60 * 1000,
    PROMETHEUS_SHOWN_MAX_BYTES = 64, /* of a name, in a note: cut */

    ADDITIVE_DEPTH_MAX = 32, /* of a template's brackets: not cut into pieces */
};

/* ---- sources: requests from Loki ---- */
enum {
    LOKI_LIMIT = 5000,              /* entries of an answer, Loki's own default: asked again in parts */
    LOKI_WINDOW_MAX_HOURS = 7 * 24, /* of a window: another one; side by side they are faster */
    LOKI_ANSWER_MAX_BYTES = 16 * 1024 * 1024, /* asked again in parts */
    LOKI_FAILURES_MAX = 3,                    /* in a row: partial */
    LOKI_REFUSED_MAX = 3,                     /* connections in a row: partial */
    LOKI_LARGE_MAX = 16,                      /* too large answers in a row, times LOKI_PARALLEL: partial */
    LOKI_PAUSE_MS = 100,                      /* after a failure; doubled each time, less a part of chance */
    LOKI_PAUSE_MAX_MS = 5000,                 /* not more */
    LOKI_LOOK_MS = 20,                        /* between two looks at what others have read */
    LOKI_STEP_MS = 5,                         /* of adding up: then others have their turn */
    LOKI_PATIENCE_MS = 15000,                 /* for one answer: asked again with less */
    LOKI_PATIENCE_SHARE = 3,                  /* nor more than a third of the time that is left */
    LOKI_LESSONS_MS = 3600 * 1000,            /* that the server's own limits are remembered */

    LOKI_HINTS_SEGMENT_MAX_HOURS = 720, /* of hints in one question: another question */
    LOKI_INDEX_PATIENCE_MS = 5000,      /* for hints: read without them */
    LOKI_HINTS_MS = 15 * 60 * 1000,     /* that hints are remembered */
    /* questions where the data begins, some 400 days each way: not noted, or as far as known */
    LOKI_DATES_MAX = 14,
    LOKI_DATED_MS = 10 * 60 * 1000, /* that it is remembered where the data begins */

    LEDGER_TOGETHER_MS = 5000, /* that a piece is shared which may still get lines */
};

/* ---- sources: requests from pods' logs ---- */
enum {
    PODLOGS_STREAMS_MAX = 8,               /* logs read at once: the others afterwards */
    PODLOGS_PROBE_MAX_BYTES = 160,         /* of a log's first line, for its time */
    PODLOGS_REFUSAL_MAX_BYTES = 64 * 1024, /* of a refusal: its words are not read */
};

/* ---- sources: requests from log files ---- */
enum {
    /* of a line, its end not counted: partial where it might have counted */
    LINEBUF_LINE_MAX_BYTES = 64 * 1024,

    LOGSET_FILES_MAX = 4096,  /* that globs name: partial */
    LOGSET_ROUNDS_MAX = 8,    /* of looking, while files are renamed: partial */
    LOGSET_PROBLEMS_MAX = 64, /* files that cannot be opened, named: the rest is counted */

    LOGFILES_STEP_MS = 5,            /* of reading: then others have their turn */
    LOGFILES_BLOCK_SHARE = 4,        /* the part of the memory that one file may take: not remembered */
    LOGBLOCK_HOURS_MAX = 100 * 1000, /* of one file: not remembered */

    GEOIP_FILE_MAX_BYTES = 1024 * 1024 * 1024, /* countries are missing */
    GEOIP_PAIRS_MAX = 16384, /* addresses remembered in one reading, a power of two: one goes */
};

/* ---- auth ---- */
enum {
    /* of name, colon and password: 401; of the admin's own: the start ends, saying so */
    BASIC_CREDENTIALS_MAX_BYTES = 8 * 1024,

    TOKEN_MAX_BYTES = 16 * 1024,          /* 401 */
    TOKEN_SUBJECT_MAX_BYTES = 1024,       /* 401 */
    TOKEN_ALGORITHM_SHOWN_MAX_BYTES = 24, /* of a strange algorithm, in the log: cut */

    ASK_MAX_BYTES = 1024 * 1024, /* of a provider's answer: 503 */
    ASK_MS = 10 * 1000,          /* for it: 503 */

    DISCOVERY_URL_MAX_BYTES = 4 * 1024, /* 503 */

    JWKS_KEYS_MAX = 64,          /* of a provider: the rest is left out */
    JWKS_RSA_MAX_BITS = 4096,    /* the key is left out */
    JWKS_EXPONENT_MAX_BITS = 64, /* the same; a larger one only costs time */

    /* of remembered tokens: what was asked for the longest time ago goes */
    OIDC_TOKENS_MAX_BYTES = 4 * 1024 * 1024,
    OIDC_USER_MAX_BYTES = 64 * 1024,    /* of a user's groups: not remembered, asked for each time */
    OIDC_FRESH_MS = 3600 * 1000,        /* of what a provider said of itself, and its keys: asked again */
    OIDC_USABLE_MS = 24 * 3600 * 1000,  /* of the same, when the provider does not answer: 503 */
    OIDC_PAUSE_MS = 10 * 1000,          /* before keys are read again for an unknown `kid`: 401 */
    OIDC_PATIENCE_MS = 2 * 1000,        /* for what another worker asks of a provider: 503 */
    OIDC_REMEMBERED_MS = 5 * 60 * 1000, /* of a token and its user: asked again */
    OIDC_REFUSAL_MS = 5 * 1000,         /* that it is remembered that a provider refused, or could not say */
    OIDC_WAIT_MS = 1000,                /* for what another worker asks, at a stretch; then looked at again */
};

/* ---- report ---- */
enum {
    RENDER_ANSWER_MAX_BYTES = 512 * 1024 * 1024, /* 500 */
};

/* ---- http ---- */
enum {
    ADMISSION_RESERVED_SHARE = 4, /* one worker of so many is kept free of what may wait: the queue */
    ADMISSION_QUEUE_MAX = 64,     /* that wait for a slot: 503 */

    LISTEN_BACKLOG_MAX = 1024,   /* connections that nobody has accepted: the kernel refuses */
    LISTEN_HOST_MAX_BYTES = 256, /* of a host to listen on: the start ends, saying so */

    LOBBY_GUESTS_MAX = 1024,           /* connections that wait; when one more comes, the oldest is closed */
    LOBBY_PATIENCE_MS = 10 * 1000,     /* for a request to arrive: closed */
    LOBBY_LINGER_MS = 2 * 1000,        /* for a peer to take leave after its answer: closed */
    LOBBY_CLOSING_MS = 1000,           /* at the end, for the requests of who was let in: closed */
    LOBBY_LOOK_MAX_BYTES = 72 * 1024,  /* of a request's head: closed. No nginx sends more than 64 KiB */
    LOBBY_RECEIVE_SECONDS = 2,         /* for the next bytes of a request: closed */
    LOBBY_SEND_SECONDS = 10,           /* for a peer to take bytes of its answer: closed */
    LOBBY_OUT_OF_DESCRIPTORS_MS = 100, /* before the next is accepted */

    ACCESS_LOG_ID_MAX_BYTES = 64, /* of a request's id: one of our own in its place */

    HANDLERS_OWNERS_SHARE = 2,     /* the part of the time for whose namespaces are: partial, or 503 */
    SERVE_ANSWER_DEADLINES = 2,    /* OSCAR_METRICS_DEADLINE, until an answer is written: cut */
    SERVE_RETRY_AFTER_SECONDS = 5, /* that a client is told to wait for after 503 */
    SERVER_REMEMBERED_MS = 24 * 3600 * 1000, /* read again */
};

#endif
