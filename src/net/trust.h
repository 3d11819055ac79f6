/* The certificates that servers are verified with, read once for all threads: each thread's own copy of the
 * system's would take more than a megabyte, and each connection's own reading of them milliseconds. Knows
 * OpenSSL, and not curl. */
#ifndef OM_NET_TRUST_H
#define OM_NET_TRUST_H

#include <stdbool.h>

struct ssl_ctx_st; /* OpenSSL's SSL_CTX */
struct trust;

enum { TRUST_STATE_SIZE = 128 };

/* Is that TLS library, as curl names it ("OpenSSL/3.0.17"), the one that is used here? */
bool trust_fits(const char *library);

struct trust *trust_new(void);
void trust_free(struct trust *trust); /* NULL is allowed */

/* Everything is read anew when it is next wanted, whether a file looks changed or not. */
void trust_renew(struct trust *trust);

/* Words that are others once the file (NULL: none) has changed, or after trust_renew(): connections that were
 * verified before are told by them from those to come. */
void trust_state(struct trust *trust, const char *file, char state[TRUST_STATE_SIZE]);

/* Can the certificates of this file be read? They are, unless they were already. */
bool trust_reads(struct trust *trust, const char *file) __attribute__((warn_unused_result));

/* Has a connection verify its peer with the certificates of a file (PEM) and a folder of them (by hash, as
 * OpenSSL has it); either may be NULL. Read anew when the file has changed. False: they cannot be read. */
bool trust_give(struct trust *trust, struct ssl_ctx_st *connection, const char *file, const char *folder)
    __attribute__((warn_unused_result));

#endif
