/* OpenSSL on both sides: certificates of EC keys, which are made in no time. */
#include "tls_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "util/memory.h"

enum { MAX_CONNECTIONS = 16, DAY = 24 * 3600 };

struct tls_signer {
    EVP_PKEY *key;
    X509 *certificate;
};

struct connection {
    struct tls_server *server;
    int fd;
    pthread_t thread;
};

struct tls_server {
    SSL_CTX *context;
    int listener;
    pthread_t thread;
    pthread_mutex_t lock;
    struct connection connections[MAX_CONNECTIONS];
    size_t count;
    char url[64];
};

static void check(bool fine, const char *what)
{
    if (fine)
        return;
    perror(what);
    abort();
}

static void add_extension(X509 *certificate, X509 *issuer, int kind, const char *value)
{
    X509V3_CTX context;
    X509_EXTENSION *extension;

    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &context, kind, value);
    check(extension && X509_add_ext(certificate, extension, -1) == 1, value);
    X509_EXTENSION_free(extension);
}

static X509 *make_certificate(const char *name, EVP_PKEY *key, int from_days, int to_days)
{
    static long serial;
    X509 *certificate = X509_new();
    X509_NAME *subject = X509_get_subject_name(certificate);

    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(certificate), (long)from_days * DAY);
    X509_gmtime_adj(X509_getm_notAfter(certificate), (long)to_days * DAY);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_pubkey(certificate, key);
    return certificate;
}

static void sign(X509 *certificate, X509 *issuer, EVP_PKEY *key)
{
    X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
    check(X509_sign(certificate, key, EVP_sha256()) > 0, "X509_sign");
}

struct tls_signer *tls_signer_new(const char *name, const struct tls_signer *issuer)
{
    struct tls_signer *signer = memory_new(1, sizeof(*signer));

    signer->key = EVP_EC_gen("P-256");
    check(signer->key != NULL, "EVP_EC_gen");
    signer->certificate = make_certificate(name, signer->key, -10, 10);
    add_extension(signer->certificate, signer->certificate, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(signer->certificate, signer->certificate, NID_key_usage, "critical,keyCertSign");
    add_extension(signer->certificate, signer->certificate, NID_subject_key_identifier, "hash");
    if (issuer)
        add_extension(signer->certificate, issuer->certificate, NID_authority_key_identifier, "keyid:always");
    sign(signer->certificate, issuer ? issuer->certificate : signer->certificate,
         issuer ? issuer->key : signer->key);
    return signer;
}

void tls_signer_free(struct tls_signer *signer)
{
    EVP_PKEY_free(signer->key);
    X509_free(signer->certificate);
    free(signer);
}

void tls_signer_write(const struct tls_signer *signer, const char *path)
{
    FILE *file = fopen(path, "w");

    check(file && PEM_write_X509(file, signer->certificate) == 1 && fclose(file) == 0, path);
}

static SSL_CTX *make_context(const struct tls_shown *shown)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = make_certificate("server", key, shown->from_days, shown->to_days);

    add_extension(certificate, shown->signer->certificate, NID_subject_alt_name, shown->subject);
    sign(certificate, shown->signer->certificate, shown->signer->key);
    check(SSL_CTX_use_certificate(context, certificate) == 1 && SSL_CTX_use_PrivateKey(context, key) == 1,
          "certificate");
    X509_free(certificate);
    EVP_PKEY_free(key);
    return context;
}

static void *answer(void *argument)
{
    static const char reply[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    const struct connection *connection = argument;
    SSL *tls = SSL_new(connection->server->context);
    char request[4096];

    SSL_set_fd(tls, connection->fd);
    if (SSL_accept(tls) == 1)
        /* A request of the tests comes in one piece. */
        while (SSL_read(tls, request, sizeof(request)) > 0 && SSL_write(tls, reply, sizeof(reply) - 1) > 0)
            continue;
    SSL_free(tls);
    return NULL;
}

static void *serve(void *argument)
{
    struct tls_server *server = argument;
    int fd;

    while ((fd = accept(server->listener, NULL, NULL)) >= 0) {
        struct connection *connection;

        pthread_mutex_lock(&server->lock);
        check(server->count < MAX_CONNECTIONS, "too many connections");
        connection = &server->connections[server->count++];
        *connection = (struct connection){.server = server, .fd = fd};
        check(pthread_create(&connection->thread, NULL, answer, connection) == 0, "pthread_create");
        pthread_mutex_unlock(&server->lock);
    }
    return NULL;
}

struct tls_server *tls_server_start(const struct tls_shown *shown)
{
    struct tls_server *server = memory_new(1, sizeof(*server));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof(address);

    server->context = make_context(shown);
    pthread_mutex_init(&server->lock, NULL);
    server->listener = socket(AF_INET, SOCK_STREAM, 0);
    check(server->listener >= 0, "socket");
    check(bind(server->listener, (struct sockaddr *)&address, length) == 0, "bind");
    check(listen(server->listener, MAX_CONNECTIONS) == 0, "listen");
    check(getsockname(server->listener, (struct sockaddr *)&address, &length) == 0, "getsockname");
    snprintf(server->url, sizeof(server->url), "https://127.0.0.1:%u/", (unsigned)ntohs(address.sin_port));
    check(pthread_create(&server->thread, NULL, serve, server) == 0, "pthread_create");
    return server;
}

void tls_server_stop(struct tls_server *server)
{
    shutdown(server->listener, SHUT_RDWR); /* ends accept() */
    pthread_join(server->thread, NULL);
    close(server->listener);
    for (size_t i = 0; i < server->count; i++) {
        shutdown(server->connections[i].fd, SHUT_RDWR);
        pthread_join(server->connections[i].thread, NULL);
        close(server->connections[i].fd);
    }
    SSL_CTX_free(server->context);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

const char *tls_server_url(const struct tls_server *server)
{
    return server->url;
}

size_t tls_server_connections(struct tls_server *server)
{
    size_t count;

    pthread_mutex_lock(&server->lock);
    count = server->count;
    pthread_mutex_unlock(&server->lock);
    return count;
}
