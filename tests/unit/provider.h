/* A provider's three addresses on a loopback socket, served by a thread of its own; what they answer can be
 * changed at any time, and how often each was asked is counted. */
#ifndef OM_TESTS_PROVIDER_H
#define OM_TESTS_PROVIDER_H

#include <stddef.h>

enum route { ROUTE_DISCOVERY, ROUTE_KEYS, ROUTE_USERINFO, ROUTE_OTHER, ROUTES };

struct stand_in;

struct stand_in *stand_in_start(void);
void stand_in_stop(struct stand_in *provider); /* frees it, too */

const char *stand_in_url(const struct stand_in *provider); /* "http://127.0.0.1:PORT", its issuer */

/* From now on: the status line's rest ("200 OK"), perhaps with header lines ("302 Found\r\nLocation: ..."),
 * and the body; both are copied. `status` NULL: the connection is closed without an answer. */
void stand_in_answer(struct stand_in *provider, enum route route, const char *status, const char *body);

/* Userinfo by who asks: the body for a request with that token in it; 401 for all others. Up to
 * STAND_IN_USERS. */
enum { STAND_IN_USERS = 64 };
void stand_in_add_user(struct stand_in *provider, const char *token, const char *body);

unsigned stand_in_asked(const struct stand_in *provider, enum route route);

/* Requests are read, and answered only after stand_in_release(). */
void stand_in_hold(struct stand_in *provider);
void stand_in_release(struct stand_in *provider);

/* A descriptor from which a byte can be read for each request that arrived. */
int stand_in_arrived(const struct stand_in *provider);

#endif
