/* One line for each request that ended. */
#ifndef OM_HTTP_ACCESS_LOG_H
#define OM_HTTP_ACCESS_LOG_H

#include "http/request.h"
#include "http/route.h"

/* The web server's id (the parameter REQUEST_ID) when it is 1 to ACCESS_LOG_ID_MAX_BYTES of [0-9A-Za-z_.-],
 * else 32 hexadecimal digits of our own. In the request's arena. */
const char *access_log_id(const struct request *request);

/* Without query, headers, or anything else that may hold a credential. `took`: microseconds. */
void access_log(const struct request *request, enum route_label route, int status, int64_t took);

#endif
