/* Requests to host names of services, which ingress-nginx names "<namespace>-<service>" alone: where that can
 * be read in several ways, what is deployed decides, or the report says that nobody can tell. */
#ifndef OM_REPORT_HOSTS_H
#define OM_REPORT_HOSTS_H

#include <stdbool.h>

struct report;
struct settings;

/* Are there such lines? Where the ingress controller is another one now they are taken for read well. */
bool hosts_are_ambiguous(const struct settings *settings);

/* When all is read: notes the requests in the report of which it is not certain whose they are. */
void hosts_note_doubts(const struct settings *settings, struct report *report);

#endif
