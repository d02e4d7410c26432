/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ipc/json-text.h"

#include <stdio.h>
#include <string.h>

static void append(struct json_text *t, const char *data, size_t n)
{
	if (buffer_append(&t->buffer, data, n) < 0)
		t->failed = true;
}

static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c != '"' && c != '\\';
}

static void append_escaped(struct json_text *t, unsigned char c)
{
	static const char short_ones[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
	const char *at = strchr(short_ones, c);
	char text[8] = "\\";

	if (at)
		text[1] = letters[at - short_ones];
	else
		snprintf(text, sizeof(text), "\\u%04x", c);
	append(t, text, strlen(text));
}

static size_t count_plain(const char *s)
{
	size_t n = 0;

	while (is_plain((unsigned char)s[n]))
		n++;
	return n;
}

/* Room is made once for a whole string, which is plain nearly always. */
static void append_quoted(struct json_text *t, const char *s)
{
	size_t n = count_plain(s);
	char *to = buffer_reserve(&t->buffer, n + 2);

	if (!to) {
		t->failed = true;
		return;
	}
	*to++ = '"';
	memcpy(to, s, n);
	to[n] = '"';
	buffer_commit(&t->buffer, s[n] ? n + 1 : n + 2);
	if (!s[n])
		return;
	for (s += n; *s; s += n) {
		append_escaped(t, (unsigned char)*s++);
		n = count_plain(s);
		append(t, s, n);
	}
	append(t, "\"", 1);
}

/* What stands before a value. Names are plain. */
static void begin(struct json_text *t, const char *name)
{
	size_t n = name ? strlen(name) : 0;
	char *to = buffer_reserve(&t->buffer, n + 4), *at = to;

	if (!to) {
		t->failed = true;
		return;
	}
	if (t->is_begun)
		*at++ = ',';
	t->is_begun = true;
	if (name) {
		*at++ = '"';
		memcpy(at, name, n);
		at[n] = '"';
		at[n + 1] = ':';
		at += n + 2;
	}
	buffer_commit(&t->buffer, (size_t)(at - to));
}

static void open_bracket(struct json_text *t, const char *name, const char *bracket)
{
	begin(t, name);
	append(t, bracket, 1);
	t->is_begun = false;
}

static void close_bracket(struct json_text *t, const char *bracket)
{
	append(t, bracket, 1);
	t->is_begun = true;
}

void json_write_object(struct json_text *t, const char *name)
{
	open_bracket(t, name, "{");
}

void json_write_object_end(struct json_text *t)
{
	close_bracket(t, "}");
}

void json_write_array(struct json_text *t, const char *name)
{
	open_bracket(t, name, "[");
}

void json_write_array_end(struct json_text *t)
{
	close_bracket(t, "]");
}

static void write_word(struct json_text *t, const char *name, const char *word)
{
	begin(t, name);
	append(t, word, strlen(word));
}

void json_write_string(struct json_text *t, const char *name, const char *value)
{
	if (!value) {
		write_word(t, name, "null");
		return;
	}
	begin(t, name);
	append_quoted(t, value);
}

void json_write_integer(struct json_text *t, const char *name, int64_t value)
{
	uint64_t left = value < 0 ? -(uint64_t)value : (uint64_t)value;
	char digits[24], *at = digits + sizeof(digits);

	*--at = '\0';
	do
		*--at = (char)('0' + left % 10);
	while ((left /= 10) > 0);
	if (value < 0)
		*--at = '-';
	write_word(t, name, at);
}

void json_write_bool(struct json_text *t, const char *name, bool value)
{
	write_word(t, name, value ? "true" : "false");
}

void json_write_tree(struct json_text *t, const char *name, const cJSON *tree)
{
	_cleanup_free_ char *text = NULL;

	if (!tree || cJSON_IsRaw(tree)) {
		write_word(t, name, tree ? tree->valuestring : "null");
		return;
	}
	text = json_print(tree);
	if (text)
		write_word(t, name, text);
	else
		t->failed = true;
}

cJSON *json_text_take(struct json_text *t)
{
	cJSON *item = NULL;

	append(t, "", 1);
	if (!t->failed)
		item = cJSON_CreateRaw((const char *)buffer_bytes(&t->buffer));
	json_text_clear(t);
	return item;
}

void json_text_clear(struct json_text *t)
{
	buffer_clear(&t->buffer);
	*t = (struct json_text){ 0 };
}

/* Its place among others, and its name there, stay. */
static bool unfold_one(cJSON *item)
{
	cJSON *parsed = cJSON_Parse(item->valuestring);

	if (!parsed)
		return false;
	cJSON_free(item->valuestring);
	item->type = (item->type & ~0xff) | (parsed->type & 0xff);
	item->valuestring = TAKE_PTR(parsed->valuestring);
	item->child = TAKE_PTR(parsed->child);
	cJSON_Delete(parsed);
	return true;
}

bool json_unfold(cJSON *tree)
{
	cJSON *item;

	/* Numbers are kept as text because of their digits. */
	if (cJSON_IsRaw(tree) && strchr("{[", tree->valuestring[0]))
		return unfold_one(tree);
	cJSON_ArrayForEach(item, tree)
		if (!json_unfold(item))
			return false;
	return true;
}
