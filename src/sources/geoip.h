/* Countries from clients' addresses, out of an MMDB file (GEOIP_DATABASE). One open database serves all
 * workers; a file that was replaced is opened at the next request. */
#ifndef OM_SOURCES_GEOIP_H
#define OM_SOURCES_GEOIP_H

#include <stdbool.h>
#include <stdint.h>

#include "util/text.h"

struct geoip; /* a snapshot: one state of the file, readable or not; goes when its last holder releases it */
struct geoip_store;

/* `path` is copied; empty: no database is configured. */
struct geoip_store *geoip_store_new(const char *path);
void geoip_store_free(struct geoip_store *store); /* NULL is allowed */

/* The state of the file now: opens it when it is not the one that was seen last. What cannot be read now is
 * not served from what could be read before. NULL: no database is configured (or the store is NULL). */
struct geoip *geoip_store_current(struct geoip_store *store); /* geoip_release() it */
void geoip_release(struct geoip *geoip);                      /* NULL is allowed */

/* Why the database cannot be read, in words for an operator; NULL: it can. */
const char *geoip_fault(const struct geoip *geoip);

/* True once an address could not be looked up because the file is damaged: from then on nobody can say which
 * of the countries that were remembered are complete. */
bool geoip_is_damaged(const struct geoip *geoip);

/* 1, 2, ...: another one when the answers may be others. 0: no database is configured (geoip is NULL). */
uint64_t geoip_generation(const struct geoip *geoip);

/* One thread's way to a database, with a memory of the addresses it saw. */
struct geoip_reader;

/* The snapshot must outlive the reader. Never NULL: of a snapshot that is NULL or cannot be read nobody has a
 * country. */
struct geoip_reader *geoip_reader_new(struct geoip *geoip);
void geoip_reader_free(struct geoip_reader *reader); /* NULL is allowed */

/* Two capital letters; empty when no country is known, `client` is no address, or a private one. The text
 * lives until the next call. */
struct text geoip_country(struct geoip_reader *reader, struct text client);

#endif
