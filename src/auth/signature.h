/* Is the signature of a token that of a key? Nothing else is judged here. */
#ifndef OM_AUTH_SIGNATURE_H
#define OM_AUTH_SIGNATURE_H

#include <stdbool.h>

struct token;
struct key;

/* False, too, when the key does not fit the token's algorithm. */
bool signature_is_valid(const struct token *token, const struct key *key) __attribute__((warn_unused_result));

#endif
