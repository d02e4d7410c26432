/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The control path, which injects what a hostile world does. Only with --control, without a token:
 *
 *   POST /_control        one JSON object, {"do": VERB, ...}; answers {"affected": N}
 *   GET  /_control/stats  counters, and how often each fault happened
 *
 * Verbs that act at once. Where they take "user", leaving it out means everybody:
 *
 *   drop {user}                        closes the sessions' TCP connections without BYE
 *   bye {user, reason, retry_after_s}  ends the sessions with BYE
 *   mute {user}, unmute {user}         stops reading the sessions' sockets: no pong, nothing
 *   expire                             makes every token expire now
 *   change_etag                        gives all bytes another ETag
 *   reset                              removes all rules, lets held frames go, unmutes
 *
 * Verbs that set a rule. All take "count" (how many it hits: 1 if left out, -1 for all until
 * reset), "skip" (how many that fit pass first), "percent" and "seed" (chance, reproducible).
 *
 * On frames to clients, chosen by "user" and "event_type" (left out: all but HELLO and BYE):
 *
 *   delay {ms}    lets the frame go that much later; others may overtake it
 *   lose          never sends it; with event_type MSG_ACK, acknowledgements are withheld
 *   duplicate     sends it twice
 *   reorder       holds "count" frames and sends them last to first
 *   cut           closes the TCP connection in the middle of the frame
 *   corrupt {as}  sends it truncated, as garbage, binary, oversized, or as a stranger's, with
 *                 another session's connection_id
 *
 * On messages from clients, chosen by "user":
 *
 *   refuse_message {status, retry_after_s}  rejects MSG_OUT (with 422 if left out)
 *
 * On requests, chosen by "method" and "path", a prefix:
 *
 *   refuse {status, retry_after_s}  answers with a Problem of that status (503 if left out)
 *   slow {ms}                       carries the request out, answers later
 *   cut_upload {bytes}              closes the TCP connection after so many bytes of the body
 *   cut_download {bytes}            the same with the bytes of an attachment
 *   redirect                        answers for those bytes with 307 and their URL
 */
#pragma once

struct exchange;

void handle_control(struct exchange *x);
void handle_control_stats(struct exchange *x);
