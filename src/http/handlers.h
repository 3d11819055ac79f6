/* What stands behind the routes. Each handler answers. */
#ifndef OM_HTTP_HANDLERS_H
#define OM_HTTP_HANDLERS_H

#include "http/request.h"

enum stage handle_healthy(struct request *request);
enum stage handle_ready(struct request *request);
enum stage handle_report(struct request *request);
enum stage handle_owners(struct request *request);

#endif
