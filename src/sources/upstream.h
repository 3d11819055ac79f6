/* What ingress controllers call the Kubernetes service that they pass a request to:
 * "<namespace>-<service>-svc-<port>", with OSCAR's names in it. Pure. */
#ifndef OM_SOURCES_UPSTREAM_H
#define OM_SOURCES_UPSTREAM_H

#include <stdbool.h>
#include <stddef.h>

#include "util/text.h"

/* Is it OSCAR_SERVICES_NAMESPACE, or does it begin with it and `-`? */
bool upstream_is_services_namespace(const char *services_namespace, struct text namespace);

/* "<namespace>-<service>" of "<namespace>-<service>-svc-<port>"; empty when it is no such name. */
struct text upstream_both(struct text upstream);

/* The namespace in "<namespace>-<service>", the service being known; empty when it is another service's, or
 * the namespace is none of services. */
struct text upstream_namespace(const char *services_namespace, struct text both, struct text service);

struct upstream_reading {
    struct text namespace, service;
};

enum { UPSTREAM_READINGS = 3 };

/* Where nothing else says the service: how "<namespace>-<service>" may be read, the likeliest first; 0: not
 * at all. Both names may hold `-`, so that nobody can say for certain when there are several. What helps: an
 * owner's namespace is always 18 characters long (63 of older versions), and what makes it the owner's is the
 * beginning of an OIDC subject, mostly hexadecimal digits. */
size_t upstream_read(const char *services_namespace, struct text both,
                     struct upstream_reading out[UPSTREAM_READINGS]);

#endif
