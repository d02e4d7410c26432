/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The control path, which injects what a hostile world does. Only with --control, and without a
 * token:
 *
 *   POST /_control        one JSON object, {"do": VERB, ...}; answers {"affected": N}
 *   GET  /_control/stats  counters, and how often each fault happened
 *
 * Verbs that act at once. Where they take "user", leaving it out means everybody:
 *
 *   drop {user}                          closes the sessions' TCP connections without BYE
 *   bye {user, reason, retry_after_s}    ends the sessions with BYE
 *   mute {user} / unmute {user}          stops reading from the sessions' sockets: no pong, nothing
 *   expire                               makes every token expire now
 *   change_etag                          gives all bytes another ETag
 *   reset                                removes all rules, lets held frames go, unmutes
 *
 * Verbs that set a rule. All take "count" (how many it hits, 1 if left out, -1 for all until
 * reset), "skip" (how many that fit pass before), and "percent" with "seed" (chance, reproducible).
 * On frames to clients, with "user" and "event_type" (left out: all but HELLO and BYE) to choose:
 *
 *   delay {ms}             lets the frame go that much later; others may overtake it
 *   lose                   never sends it (event_type MSG_ACK: withholds acknowledgements)
 *   duplicate              sends it twice
 *   reorder                holds `count` frames and sends them last to first
 *   cut                    closes the TCP connection in the middle of the frame
 *   corrupt {as}           sends it as truncated, garbage, binary, oversized, or stranger (wrong
 * connection_id)
 *
 * On messages from clients, with "user" to choose:
 *
 *   refuse_message {status, retry_after_s}   answers MSG_OUT with a Problem (422 if left out)
 *
 * On requests, with "method" and "path" (a prefix) to choose:
 *
 *   refuse {status, retry_after_s}   answers with a Problem of that status (503 if left out)
 *   slow {ms}                        carries the request out, answers later
 *   cut_upload {bytes}               closes the TCP connection after so many bytes of the request's
 * body cut_download {bytes}             the same with the bytes of an attachment
 */
#pragma once

struct exchange;

void handle_control(struct exchange *x);
void handle_control_stats(struct exchange *x);
