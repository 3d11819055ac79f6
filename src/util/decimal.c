/* Shortest digits by trying: 1 to 17 significant digits are enough for every double (IEEE 754). */
#include "util/decimal.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_DIGITS = 17, PLAIN_BELOW_EXPONENT = 21 };

/* "d.ddde+xx" -> the digits alone; gives the exponent. */
static int split(const char *scientific, char digits[MOST_DIGITS + 1])
{
    size_t count = 0;
    int exponent = 0;
    const char *p = scientific;
    bool minus;

    for (; *p != 'e'; p++)
        if (*p >= '0' && *p <= '9')
            digits[count++] = *p;
    digits[count] = '\0';
    minus = p[1] == '-';
    for (p += 2; *p; p++)
        exponent = exponent * 10 + (*p - '0');
    return minus ? -exponent : exponent;
}

void decimal_shortest(double value, char out[DECIMAL_SIZE])
{
    char text[64], digits[MOST_DIGITS + 1];
    const char *sign = value < 0 ? "-" : "";
    double magnitude = value < 0 ? -value : value;
    int exponent, count;

    if (!(magnitude > 0)) {
        snprintf(out, DECIMAL_SIZE, "0");
        return;
    }
    for (int precision = 0; precision < MOST_DIGITS; precision++) {
        snprintf(text, sizeof(text), "%.*e", precision, magnitude);
        if (!(strtod(text, NULL) < magnitude) && !(strtod(text, NULL) > magnitude))
            break;
    }
    exponent = split(text, digits);
    count = (int)strlen(digits);
    if (exponent >= PLAIN_BELOW_EXPONENT)
        snprintf(out, DECIMAL_SIZE, "%s%c%s%se+%d", sign, digits[0], count > 1 ? "." : "", digits + 1,
                 exponent);
    else if (exponent < 0)
        snprintf(out, DECIMAL_SIZE, "%s0.%0*d%s", sign, -exponent - 1, 0, digits);
    else if (count <= exponent + 1)
        snprintf(out, DECIMAL_SIZE, "%s%s%.*s", sign, digits, exponent + 1 - count,
                 "00000000000000000000000");
    else
        snprintf(out, DECIMAL_SIZE, "%s%.*s.%s", sign, exponent + 1, digits, digits + exponent + 1);
    if (exponent == -1)
        snprintf(out, DECIMAL_SIZE, "%s0.%s", sign, digits);
}
