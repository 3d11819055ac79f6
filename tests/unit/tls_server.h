/* Certificates made for a test, and a server on a loopback socket that shows one. It answers every request
 * with 200 "ok" and keeps its connections, each in a thread of its own. */
#ifndef OM_TESTS_TLS_SERVER_H
#define OM_TESTS_TLS_SERVER_H

#include <stddef.h>

struct tls_signer; /* a key and its certificate, which may sign others */
struct tls_server;

/* `issuer` NULL: it signs itself. */
struct tls_signer *tls_signer_new(const char *name, const struct tls_signer *issuer);
void tls_signer_free(struct tls_signer *signer);
void tls_signer_write(const struct tls_signer *signer, const char *path); /* its certificate, PEM */

/* What the server shows: a certificate for `subject` ("IP:127.0.0.1", "DNS:a.example"), good from so many
 * days ago or ahead. */
struct tls_shown {
    const struct tls_signer *signer;
    const char *subject;
    int from_days, to_days;
};

struct tls_server *tls_server_start(const struct tls_shown *shown);
void tls_server_stop(struct tls_server *server);             /* frees it, too */
const char *tls_server_url(const struct tls_server *server); /* "https://127.0.0.1:PORT/" */
size_t tls_server_connections(struct tls_server *server);    /* that were accepted so far */

#endif
