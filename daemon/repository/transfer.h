/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A transfer under way, between the files of the transfer queue. Each job moves one attachment in
 * one stage after another: an upload is the full bytes, the preview, then what the server made of
 * them; a download is the preview, then the full bytes where they are wanted.
 */
#pragma once

#include <sodium.h>

#include "base/buffer.h"
#include "repository/parts.h"

enum transfer_stage {
	STAGE_UPLOAD_FULL,
	STAGE_UPLOAD_PREVIEW,
	STAGE_DESCRIBE,
	STAGE_DOWNLOAD_PREVIEW,
	STAGE_DOWNLOAD_FULL,
};

struct transfer_job {
	struct repository *repository;
	struct service_call *call;
	struct attachment attachment; /* as it was when the job began, but for progress */
	enum transfer_stage stage;
	enum attachment_priority rank;
	bool full_sent;      /* by this job */
	struct buffer piece; /* downloaded, not yet stored */
	crypto_hash_sha256_state hash;
	int64_t stored;
	bool resumed; /* some of the bytes are an earlier attempt's */
	uint64_t told_us;
	TAILQ_ENTRY(transfer_job) entry;
};

/* transfer-queue.c */

enum attachment_variant job_variant(const struct transfer_job *j);

/* Begins the job's present stage. The job may be gone afterwards. */
void job_begin_stage(struct transfer_job *j);

/* The job is over; what it was for may not be. Its slot is free. Nothing is under way any more. */
void job_end(struct transfer_job *j);

/* The same for one whose work is done: failures before are forgotten. */
void job_succeed(struct transfer_job *j);

/* Breaks a running job off, keeping what it has. */
void job_stop(struct transfer_job *j);

/* Each of these ends the job. `e` negative errno of the store's; its row may be gone. */
void job_fail(struct transfer_job *j, const char *title, const char *detail);
void job_retry(struct transfer_job *j, uint32_t floor_ms);
void job_take_problem(struct transfer_job *j, const struct problem *p);
void job_take_store_error(struct transfer_job *j, int e);

/* Tells observers, now and then. */
void job_tell_progress(struct transfer_job *j, int64_t done);

/* The job for an attachment; NULL: none is under way. */
struct transfer_job *transfers_find_job(struct repository *r, const char *attachment_id);

/* transfer-upload.c, transfer-download.c: 0, or negative errno when the stage cannot begin. */
int upload_begin(struct transfer_job *j);
int upload_describe(struct transfer_job *j);
int download_begin(struct transfer_job *j);

/* Stores what has come so far. 0 or negative errno. */
int download_flush(struct transfer_job *j);
