/* Numbers as people and JavaScript write them. */
#ifndef OM_UTIL_DECIMAL_H
#define OM_UTIL_DECIMAL_H

enum { DECIMAL_SIZE = 400 }; /* fits every finite double, with its NUL */

/* The shortest decimal text that reads back to the same double: "2.5", "0.1", "0" (also for -0), no exponent
 * below 1e21. `value` must be finite. */
void decimal_shortest(double value, char out[DECIMAL_SIZE]);

#endif
