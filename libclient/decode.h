/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From the API's JSON to the structs of chatclient.h. Members that are missing or null leave zero
 * or NULL, unknown ones are ignored; only a wrong type, or an id that is missing, is an error.
 */
#pragma once

#include "result.h"

/*
 * Each makes the struct from the result's whole tree. 0, -EBADMSG when it is not understood, or
 * -ENOMEM. `ret` points to the struct, which belongs to the result.
 */
int decode_attachment(struct result *r, void **ret);
int decode_message(struct result *r, void **ret);
int decode_message_list(struct result *r, void **ret);
int decode_info(struct result *r, void **ret);
int decode_info_list(struct result *r, void **ret);
int decode_search_list(struct result *r, void **ret);
int decode_status(struct result *r, void **ret);
int decode_account(struct result *r, void **ret);
int decode_file(struct result *r, void **ret); /* takes its descriptor from the result's */
int decode_user(struct result *r, void **ret);
int decode_setting(struct result *r, void **ret); /* the only one of a list */
int decode_setting_list(struct result *r, void **ret);
int decode_change_list(struct result *r, void **ret);
int decode_reply(struct result *r, void **ret);  /* likewise; accepts any tree */
int decode_change(struct result *r, void **ret); /* the params of a change notification */
