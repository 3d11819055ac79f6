# What the compiler is asked for: the language, the warnings, the hardening, the sanitizers.

# OM_TRY_FLAG(VARIABLE, FLAG): appends FLAG to VARIABLE where the compiler takes it without a word.
AC_DEFUN([OM_TRY_FLAG], [
  AX_CHECK_COMPILE_FLAG([$2], [$1="$$1 $2"], [], [-Werror])
])

AC_DEFUN([OM_TRY_LINK_FLAG], [
  AX_CHECK_LINK_FLAG([$2], [$1="$$1 $2"])
])

AC_DEFUN([OM_REQUIRE_C17], [
  AX_CHECK_COMPILE_FLAG([-std=gnu17], [OM_CFLAGS="-std=gnu17"],
    [AC_MSG_ERROR([the compiler does not know C17])])
  AC_SUBST([OM_CFLAGS])
  AC_SUBST([OM_CPPFLAGS])
  AC_SUBST([OM_LDFLAGS])
])

AC_DEFUN([OM_STRICT_WARNINGS], [
  m4_foreach_w([om_flag], [-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion
      -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wpointer-arith -Wcast-qual
      -Wwrite-strings -Wformat=2 -Wundef -Wvla -Wnull-dereference -Wimplicit-fallthrough
      -Wdouble-promotion -Wlogical-op -Wduplicated-cond -Wduplicated-branches],
    [OM_TRY_FLAG([OM_CFLAGS], om_flag)])
  AC_ARG_ENABLE([werror], [AS_HELP_STRING([--enable-werror], [a warning is an error])])
  AS_IF([test "x$enable_werror" = xyes], [OM_CFLAGS="$OM_CFLAGS -Werror"])
])

# Hardened by default; --disable-hardening is for those who want to measure what it costs.
AC_DEFUN([OM_HARDENING], [
  AC_ARG_ENABLE([hardening],
    [AS_HELP_STRING([--disable-hardening], [without PIE, RELRO, stack protector and _FORTIFY_SOURCE])])
  AS_IF([test "x$enable_hardening" != xno && test "x$enable_sanitize" = x], [
    AS_CASE([" $CFLAGS "], [*" -O0 "*], [], [OM_CPPFLAGS="$OM_CPPFLAGS -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2"])
  ])
  AS_IF([test "x$enable_hardening" != xno], [
    m4_foreach_w([om_flag], [-fPIE -fstack-protector-strong -fstack-clash-protection -fcf-protection],
      [OM_TRY_FLAG([OM_CFLAGS], om_flag)])
    OM_TRY_LINK_FLAG([OM_LDFLAGS], [-pie])
    OM_TRY_LINK_FLAG([OM_LDFLAGS], [[-Wl,-z,relro]])
    OM_TRY_LINK_FLAG([OM_LDFLAGS], [[-Wl,-z,now]])
    OM_TRY_LINK_FLAG([OM_LDFLAGS], [[-Wl,-z,noexecstack]])
  ])
])

AC_DEFUN([OM_SANITIZE], [
  AC_ARG_ENABLE([sanitize],
    [AS_HELP_STRING([--enable-sanitize=LIST], [build with -fsanitize=LIST, e.g. address,undefined or thread])])
  AS_IF([test "x$enable_sanitize" != x && test "x$enable_sanitize" != xno], [
    OM_CFLAGS="$OM_CFLAGS -fsanitize=$enable_sanitize -fno-omit-frame-pointer -fno-sanitize-recover=all"
    OM_LDFLAGS="$OM_LDFLAGS -fsanitize=$enable_sanitize"
  ])
])
