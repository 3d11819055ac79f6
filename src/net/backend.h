/* Whom the program asks over the network. */
#ifndef OM_NET_BACKEND_H
#define OM_NET_BACKEND_H

enum backend { BACKEND_PROMETHEUS, BACKEND_LOKI, BACKEND_KUBERNETES, BACKEND_OIDC, BACKEND_COUNT };

/* "prometheus", "loki", "kubernetes", "oidc" */
const char *backend_name(enum backend backend);

#endif
