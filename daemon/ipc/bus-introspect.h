/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What Introspect answers: the interfaces of the object, made from the method table, with its
 * documentation as annotations. Owned; NULL when memory is short.
 */
char *bus_introspect(void);
