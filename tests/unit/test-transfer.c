/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The transfer queue on a made-up network: whose turn it is, and what stops and starts it. */
#include "repository-fixture.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "full-disk.h"
#include "store/write.h"

#define PHOTOS 8
#define SIZE 400000

/* What the test on hand has seen so far. */
static struct {
	unsigned most, progress_told;
	char order[256]; /* the photos in the order in which their full bytes came */
} noted;

static void write_world(FILE *f)
{
	fputs("{\"user\":{\"id\":\"me\",\"name\":\"Me\"},\"users\":[{\"id\":\"ana\",\"name\":"
	      "\"Ana\"}],\"chats\":[{\"id\":\"c1\",\"user_id\":\"ana\",\"messages\":[",
		f);
	for (int i = 1; i <= PHOTOS; i++)
		fprintf(f,
			"%s{\"id\":\"m%d\",\"from\":\"ana\",\"text\":\"\",\"created_at\":%d,"
			"\"attachments\":[{\"id\":\"x%d\",\"name\":\"p.jpg\",\"generate\":%d,"
			"\"preview_generate\":5000}]}",
			i > 1 ? "," : "", i, i, i, SIZE);
	fputs("]}],\"behaviour\":{\"ack_ms\":1}}", f);
}

static void on_progress(void *userdata, const struct attachment *a)
{
	noted.progress_told++;
}

static const struct repository_observer observer = { .on_transfer_progress = on_progress };

static int set_up_photos(void **state)
{
	_cleanup_free_ char *world = NULL;
	size_t size;
	FILE *stream = open_memstream(&world, &size);
	struct fixture *f;
	int r;

	write_world(stream);
	fclose(stream);
	r = set_up_in(state, world);
	f = *state;
	memset(&noted, 0, sizeof(noted));
	repository_add_observer(f->repository, &observer, f);
	return r;
}

static void set(struct fixture *f, const char *name, const char *value)
{
	struct failure failure;

	assert_int_equal(setting_set(f->repository, name, value, &failure), 0);
}

static void set_number(struct fixture *f, const char *name, int64_t n)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRId64, n);
	set(f, name, text);
}

static void set_policy(struct fixture *f, int max_active, const char *automatic)
{
	set_number(f, "transfers.max_active", max_active);
	set(f, "auto_download", automatic);
}

struct seen {
	enum attachment_status status;
	bool full, preview;
	int64_t progress;
};

static int keep(void *userdata, const struct attachment *a)
{
	*(struct seen *)userdata =
		(struct seen){ a->status, a->full_stored, a->preview_stored, a->progress };
	return 0;
}

static struct seen look(struct fixture *f, int photo)
{
	struct seen seen = { 0 };
	char id[16];

	snprintf(id, sizeof(id), "x%d", photo);
	store_attachment_get(f->store, id, keep, &seen);
	return seen;
}

static void note(struct fixture *f)
{
	unsigned running = fake_service_count_running(f->service, FAKE_DOWNLOAD);
	char name[16];

	if (running > noted.most)
		noted.most = running;
	for (int i = 1; i <= PHOTOS; i++) {
		snprintf(name, sizeof(name), "%d ", i);
		if (look(f, i).full && !strstr(noted.order, name))
			strncat(noted.order, name, sizeof(noted.order) - strlen(noted.order) - 1);
	}
}

static void turn(struct fixture *f)
{
	event_loop_turn(f->loop, true);
	note(f);
}

/* Notes on the way, which go_live does not. */
static void go_live_noting(struct fixture *f)
{
	account_login(f->repository, "https://chat.example", "me", "secret", on_done, f);
	do
		turn(f);
	while (session(f) != SESSION_LIVE);
	assert_int_equal(f->failed, 0);
}

static unsigned count(struct fixture *f, enum attachment_status status, bool preview)
{
	unsigned n = 0;

	for (int i = 1; i <= PHOTOS; i++)
		n += look(f, i).status == status && look(f, i).preview == preview;
	return n;
}

static void wait_count(struct fixture *f, enum attachment_status status, unsigned n)
{
	while (count(f, status, true) != n)
		turn(f);
}

static void ask(struct fixture *f, int photo)
{
	struct failure failure;
	char id[16];

	snprintf(id, sizeof(id), "x%d", photo);
	assert_int_equal(transfer_download(f->repository, id, &failure), 0);
}

static void cancel(struct fixture *f, int photo)
{
	struct failure failure;
	char id[16];

	snprintf(id, sizeof(id), "x%d", photo);
	assert_int_equal(transfer_cancel(f->repository, id, &failure), 0);
}

static void test_at_most_so_many_move_at_once(void **state)
{
	struct fixture *f = *state;

	set_policy(f, 3, "always");
	go_live_noting(f);
	wait_count(f, ATTACHMENT_READY, PHOTOS);
	assert_int_equal(noted.most, 3);
	assert_int_equal(store_attachment_count_moving(f->store), 0);
}

static void test_previews_come_before_full_bytes(void **state)
{
	struct fixture *f = *state;

	set_policy(f, 1, "always");
	go_live_noting(f);
	while (!noted.order[0])
		turn(f);
	for (int i = 1; i <= PHOTOS; i++)
		assert_true(look(f, i).preview);
}

static void test_never_leaves_all_but_previews_to_the_user(void **state)
{
	struct fixture *f = *state;

	set_policy(f, 4, "never");
	go_live_noting(f);
	wait_count(f, ATTACHMENT_WAITING, PHOTOS);
	ask(f, 5);
	wait_count(f, ATTACHMENT_READY, 1);
	assert_string_equal(noted.order, "5 ");
}

static void test_a_metered_network_is_spared(void **state)
{
	struct fixture *f = *state;

	transfers_set_metered(f->repository, true);
	go_live_noting(f);
	wait_count(f, ATTACHMENT_WAITING, PHOTOS);
}

static void test_a_network_that_becomes_metered_stops_what_nobody_asked_for(void **state)
{
	struct fixture *f = *state;

	set_policy(f, 1, "unmetered");
	go_live_noting(f);
	while (!noted.order[0])
		turn(f);
	ask(f, 7);
	transfers_set_metered(f->repository, true);
	while (!look(f, 7).full)
		turn(f);
	for (int i = 0; i < 20; i++)
		event_loop_turn(f->loop, false);
	assert_int_equal(fake_service_count_running(f->service, FAKE_DOWNLOAD), 0);
	assert_int_equal(count(f, ATTACHMENT_READY, true), 2);
	transfers_set_metered(f->repository, false);
	wait_count(f, ATTACHMENT_READY, PHOTOS);
}

static void test_the_user_does_not_wait_behind_others(void **state)
{
	struct fixture *f = *state;

	set_policy(f, 1, "always");
	go_live_noting(f);
	while (!noted.order[0])
		turn(f);
	fake_service_stall(f->service, FAKE_DOWNLOAD, true);
	for (int i = 0; i < 50; i++)
		event_loop_turn(f->loop, false);
	ask(f, 8);
	ask(f, 6);
	for (int i = 0; i < 50; i++)
		event_loop_turn(f->loop, false);
	fake_service_stall(f->service, FAKE_DOWNLOAD, false);
	wait_count(f, ATTACHMENT_READY, PHOTOS);
	assert_memory_equal(noted.order + 2, "6 8 ", 4);
	assert_int_equal(noted.most, 1);
}

static void test_a_cancelled_download_frees_its_slot_and_keeps_what_it_has(void **state)
{
	struct fixture *f = *state;
	unsigned calls;

	set_policy(f, 1, "never");
	go_live_noting(f);
	wait_count(f, ATTACHMENT_WAITING, PHOTOS);
	ask(f, 1);
	ask(f, 2);
	while (look(f, 1).progress == 0)
		turn(f);
	cancel(f, 1);
	wait_count(f, ATTACHMENT_READY, 1);
	assert_string_equal(noted.order, "2 ");
	assert_int_equal(look(f, 1).status, ATTACHMENT_WAITING);
	assert_true(store_media_size(f->store, "x1", VARIANT_FULL) > 0);
	calls = fake_service_count_calls(f->service, FAKE_DOWNLOAD);
	ask(f, 1);
	wait_count(f, ATTACHMENT_READY, 2);
	assert_int_equal(fake_service_count_calls(f->service, FAKE_DOWNLOAD), calls + 1);
}

static void test_however_many_ask_it_is_moved_once(void **state)
{
	struct fixture *f = *state;
	unsigned calls;

	set_policy(f, 4, "never");
	go_live_noting(f);
	wait_count(f, ATTACHMENT_WAITING, PHOTOS);
	calls = fake_service_count_calls(f->service, FAKE_DOWNLOAD);
	for (int i = 0; i < 5; i++) {
		ask(f, 3);
		turn(f);
	}
	wait_count(f, ATTACHMENT_READY, 1);
	ask(f, 3);
	for (int i = 0; i < 20; i++)
		event_loop_turn(f->loop, false);
	assert_int_equal(fake_service_count_calls(f->service, FAKE_DOWNLOAD), calls + 1);
	assert_in_range(noted.progress_told, 1, 2);
}

static void wait_ready_whole(struct fixture *f, unsigned n)
{
	wait_count(f, ATTACHMENT_READY, n);
	for (unsigned i = 1; i <= n; i++) {
		char id[16];

		snprintf(id, sizeof(id), "x%u", i);
		assert_int_equal(store_media_size(f->store, id, VARIANT_FULL), SIZE);
	}
}

/* The row that its bytes are counted in is committed. */
static bool has_begun(struct fixture *f, const char *id)
{
	_cleanup_free_ char *etag = store_media_get_etag(f->store, id, VARIANT_FULL);

	return etag && store_is_committed(f->store);
}

/* What came in a turn that was undone is not there, whatever the transfer had counted. */
static void test_bytes_of_an_undone_turn_come_again(void **state)
{
	struct fixture *f = *state;
	struct rlimit room;

	set_policy(f, 1, "never");
	go_live_noting(f);
	wait_count(f, ATTACHMENT_WAITING, PHOTOS);
	ask(f, 1);
	while (!has_begun(f, "x1"))
		turn(f);
	room = full_disk_begin();
	while (session(f) == SESSION_LIVE)
		turn(f);
	full_disk_end(room);
	wait_ready_whole(f, 1);
}

static void on_purged(void *userdata, const struct failure *failure, int64_t n)
{
	on_done(userdata, failure);
	noted.most = (unsigned)n;
}

/* Room is asked for where there is none: it is said so, once, and not tried for ever. */
static void test_a_purge_on_a_full_disk_is_answered(void **state)
{
	struct fixture *f = *state;
	struct rlimit room;
	unsigned ended;

	set_policy(f, 1, "always");
	go_live_noting(f);
	wait_ready_whole(f, PHOTOS);
	ended = f->ended;
	room = full_disk_begin();
	storage_purge_media(f->repository, on_purged, f);
	wait_ended(f, ended + 1);
	full_disk_end(room);
	assert_int_equal(f->failed, 1);
	assert_int_equal(f->failure.kind, FAILURE_STORAGE_ERROR);
	storage_purge_media(f->repository, on_purged, f);
	wait_ended(f, ended + 2);
	assert_int_equal(f->failed, 1);
	assert_int_equal(noted.most, PHOTOS);
	f->failed = 0;
}

/* Its last piece is always told, to whoever is still there. */
static void test_who_has_left_is_not_told(void **state)
{
	struct fixture *f = *state;

	set_policy(f, 1, "never");
	go_live_noting(f);
	wait_count(f, ATTACHMENT_WAITING, PHOTOS);
	ask(f, 1);
	wait_count(f, ATTACHMENT_READY, 1);
	assert_true(noted.progress_told > 0);
	repository_remove_observer(f->repository, f);
	noted.progress_told = 0;
	ask(f, 2);
	wait_count(f, ATTACHMENT_READY, 2);
	assert_int_equal(noted.progress_told, 0);
}

static void test_a_preview_that_is_not_there_does_not_stop_the_photo(void **state)
{
	struct fixture *f = *state;
	struct problem p = { .class = PROBLEM_PERMANENT, .status = 404, .title = (char *)"gone" };

	set_policy(f, 1, "always");
	fake_service_fail(f->service, FAKE_DOWNLOAD, PHOTOS, 0, &p);
	go_live_noting(f);
	while (count(f, ATTACHMENT_READY, false) != PHOTOS)
		turn(f);
}

static void test_a_wish_survives_the_session(void **state)
{
	struct fixture *f = *state;
	struct problem p = { .class = PROBLEM_TRANSIENT, .title = (char *)"no answer" };

	set_policy(f, 1, "always");
	fake_service_fail(f->service, FAKE_DOWNLOAD, 1, 2000, &p);
	go_live_noting(f);
	ask(f, 4);
	wait_count(f, ATTACHMENT_READY, PHOTOS);
	assert_memory_equal(noted.order, "4 ", 2);
}

static void test_what_is_not_there_cannot_be_cancelled(void **state)
{
	struct fixture *f = *state;
	struct failure failure;

	set_policy(f, 4, "always");
	go_live_noting(f);
	wait_count(f, ATTACHMENT_READY, PHOTOS);
	cancel(f, 1);
	assert_int_equal(look(f, 1).status, ATTACHMENT_READY);
	assert_int_equal(transfer_cancel(f->repository, "none", &failure), -ENOENT);
	assert_int_equal(failure.kind, FAILURE_NOT_FOUND);
}

static int use(struct fixture *f, int photo, int64_t when)
{
	char id[16];

	snprintf(id, sizeof(id), "x%d", photo);
	return store_media_set_used(f->store, id, VARIANT_FULL, when);
}

static void test_the_photos_not_opened_for_longest_make_room(void **state)
{
	struct fixture *f = *state;
	int64_t now = 1700000000;

	set_policy(f, 4, "always");
	go_live_noting(f);
	wait_count(f, ATTACHMENT_READY, PHOTOS);
	assert_int_equal(store_media_total(f->store), PHOTOS * (SIZE + 5000));
	for (int i = 1; i <= PHOTOS; i++)
		use(f, i, now - (i % 4) * 200000 - i);
	set_number(f, "retention.media_bytes", 6 * SIZE + PHOTOS * 5000);
	wait_count(f, ATTACHMENT_WAITING, 2);
	assert_int_equal(look(f, 7).status, ATTACHMENT_WAITING);
	assert_int_equal(look(f, 3).status, ATTACHMENT_WAITING);
	assert_true(look(f, 3).preview && !look(f, 3).full);
	assert_int_equal(store_media_total(f->store), 6 * SIZE + PHOTOS * 5000);
	ask(f, 3);
	while (!look(f, 3).full)
		turn(f);
	while (count(f, ATTACHMENT_WAITING, true) != 2)
		turn(f);
	assert_int_equal(look(f, 3).status, ATTACHMENT_READY);
	assert_int_equal(look(f, 6).status, ATTACHMENT_WAITING);
}

static void test_days_count_whatever_the_space(void **state)
{
	struct fixture *f = *state;

	set_policy(f, 4, "always");
	go_live_noting(f);
	wait_count(f, ATTACHMENT_READY, PHOTOS);
	use(f, 2, 1700000000);
	set_number(f, "retention.media_days", 30);
	wait_count(f, ATTACHMENT_WAITING, 1);
	assert_false(look(f, 2).full);
	for (int i = 0; i < 20; i++)
		event_loop_turn(f->loop, false);
	assert_int_equal(count(f, ATTACHMENT_READY, true), PHOTOS - 1);
}

#define PHOTO_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_photos, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PHOTO_TEST(test_at_most_so_many_move_at_once),
		PHOTO_TEST(test_previews_come_before_full_bytes),
		PHOTO_TEST(test_never_leaves_all_but_previews_to_the_user),
		PHOTO_TEST(test_a_metered_network_is_spared),
		PHOTO_TEST(test_a_network_that_becomes_metered_stops_what_nobody_asked_for),
		PHOTO_TEST(test_the_user_does_not_wait_behind_others),
		PHOTO_TEST(test_a_cancelled_download_frees_its_slot_and_keeps_what_it_has),
		PHOTO_TEST(test_however_many_ask_it_is_moved_once),
		PHOTO_TEST(test_bytes_of_an_undone_turn_come_again),
		PHOTO_TEST(test_a_purge_on_a_full_disk_is_answered),
		PHOTO_TEST(test_who_has_left_is_not_told),
		PHOTO_TEST(test_a_preview_that_is_not_there_does_not_stop_the_photo),
		PHOTO_TEST(test_a_wish_survives_the_session),
		PHOTO_TEST(test_what_is_not_there_cannot_be_cancelled),
		PHOTO_TEST(test_the_photos_not_opened_for_longest_make_room),
		PHOTO_TEST(test_days_count_whatever_the_space),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
