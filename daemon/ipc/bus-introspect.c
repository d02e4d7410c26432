/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ipc/bus-introspect.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ipc/bus-name.h"
#include "ipc/topics.h"

#define DOC "org.gtk.GDBus.DocString"

static const char head[] =
	"<!DOCTYPE node PUBLIC \"-//freedesktop//DTD D-BUS Object Introspection 1.0//EN\"\n"
	"\"http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd\">\n"
	"<node>\n"
	" <interface name=\"org.freedesktop.DBus.Peer\">\n"
	"  <method name=\"Ping\"/>\n"
	"  <method name=\"GetMachineId\">\n"
	"   <arg type=\"s\" name=\"machine_uuid\" direction=\"out\"/>\n"
	"  </method>\n"
	" </interface>\n"
	" <interface name=\"org.freedesktop.DBus.Introspectable\">\n"
	"  <method name=\"Introspect\">\n"
	"   <arg type=\"s\" name=\"xml_data\" direction=\"out\"/>\n"
	"  </method>\n"
	" </interface>\n"
	" <interface name=\"org.freedesktop.DBus.Properties\">\n"
	"  <method name=\"Get\">\n"
	"   <arg type=\"s\" name=\"interface_name\" direction=\"in\"/>\n"
	"   <arg type=\"s\" name=\"property_name\" direction=\"in\"/>\n"
	"   <arg type=\"v\" name=\"value\" direction=\"out\"/>\n"
	"  </method>\n"
	"  <method name=\"GetAll\">\n"
	"   <arg type=\"s\" name=\"interface_name\" direction=\"in\"/>\n"
	"   <arg type=\"a{sv}\" name=\"properties\" direction=\"out\"/>\n"
	"  </method>\n"
	"  <method name=\"Set\">\n"
	"   <arg type=\"s\" name=\"interface_name\" direction=\"in\"/>\n"
	"   <arg type=\"s\" name=\"property_name\" direction=\"in\"/>\n"
	"   <arg type=\"v\" name=\"value\" direction=\"in\"/>\n"
	"  </method>\n"
	"  <signal name=\"PropertiesChanged\">\n"
	"   <arg type=\"s\" name=\"interface_name\"/>\n"
	"   <arg type=\"a{sv}\" name=\"changed_properties\"/>\n"
	"   <arg type=\"as\" name=\"invalidated_properties\"/>\n"
	"  </signal>\n"
	" </interface>\n";

/* Text within an attribute. */
static void put(FILE *f, const char *text)
{
	for (; text && *text; text++) {
		switch (*text) {
		case '&':
			fputs("&amp;", f);
			break;
		case '<':
			fputs("&lt;", f);
			break;
		case '>':
			fputs("&gt;", f);
			break;
		case '"':
			fputs("&quot;", f);
			break;
		case '\n':
			fputs("&#10;", f);
			break;
		default:
			fputc(*text, f);
		}
	}
}

static void begin_doc(FILE *f, const char *indent, const char *annotation)
{
	fprintf(f, "%s<annotation name=\"%s\" value=\"", indent, annotation);
}

static void end_doc(FILE *f)
{
	fputs("\"/>\n", f);
}

static void put_doc(FILE *f, const char *indent, const char *text)
{
	begin_doc(f, indent, DOC);
	put(f, text);
	end_doc(f);
}

static void put_values(FILE *f, const char *const *values)
{
	fputs(", one of", f);
	for (size_t i = 0; values[i]; i++) {
		fputs(i == 0 ? " " : ", ", f);
		put(f, values[i]);
	}
}

/* Parameters. */

static const struct param_detail *find_detail(const struct method *m, const char *name)
{
	for (const struct param_detail *d = m->details; d && d->name; d++)
		if (strcmp(d->name, name) == 0)
			return d;
	return NULL;
}

static const char *type_of_field(const struct json_field *f, const struct param_detail *d)
{
	switch (f->type) {
	case JSON_STRING:
	case JSON_ID:
		return "s";
	case JSON_INTEGER:
		return strcmp(f->name, "fd") == 0 ? "h" : "x";
	case JSON_BOOLEAN:
		return "b";
	case JSON_OBJECT:
		return "a{sv}";
	case JSON_ARRAY:
		if (!d)
			return "av";
		return d->items ? "aa{sv}" : "as";
	}
	return "v";
}

static void put_limits(FILE *f, const struct json_field *field)
{
	static const char *const units[] = {
		[JSON_STRING] = " bytes",
		[JSON_ARRAY] = " elements",
	};
	const char *unit = field->type < ARRAY_SIZE(units) ? units[field->type] : NULL;

	if ((field->min != 0 || field->max != 0) && strcmp(field->name, "fd") != 0)
		fprintf(f, ", %" PRId64 " to %" PRId64 "%s", field->min, field->max,
			unit ? unit : "");
}

static void put_field(
	FILE *f, const struct json_field *field, const char *within, const struct param_detail *d)
{
	fputs("&#10;", f);
	if (within)
		fprintf(f, "%s[].", within);
	fprintf(f, "%s (%s%s", field->name, type_of_field(field, d),
		field->flags & JSON_REQUIRED ? ", required" : "");
	put_limits(f, field);
	if (d && d->values)
		put_values(f, d->values);
	fputs("): ", f);
	put(f, field->doc);
	for (const struct json_field *i = d ? d->items : NULL; i && i->name; i++)
		put_field(f, i, field->name, NULL);
}

static void put_params(FILE *f, const struct method *m)
{
	fputs("   <arg type=\"a{sv}\" name=\"parameters\" direction=\"in\">\n", f);
	begin_doc(f, "    ", DOC);
	fputs(m->params ? "By name:" : "None.", f);
	for (const struct json_field *field = m->params; field && field->name; field++)
		put_field(f, field, NULL, find_detail(m, field->name));
	end_doc(f);
	fputs("   </arg>\n", f);
}

/* Results. */

static const char *type_of_member(const struct schema_field *m)
{
	bool list = m->flags & SCHEMA_LIST;

	switch (m->kind) {
	case SCHEMA_STRING:
	case SCHEMA_ID:
	case SCHEMA_ENUM:
		return list ? "as" : "s";
	case SCHEMA_INTEGER:
		if (strcmp(m->name, "fd") == 0)
			return "h";
		return list ? "ax" : "x";
	case SCHEMA_TIME:
		return list ? "ax" : "x";
	case SCHEMA_BOOLEAN:
		return list ? "ab" : "b";
	case SCHEMA_OBJECT:
		return list ? "aa{sv}" : "a{sv}";
	}
	return "v";
}

static void put_members(FILE *f, const struct schema *s, const char *within)
{
	for (const struct schema_field *m = s->fields; m->name; m++) {
		char path[160];

		snprintf(path, sizeof(path), "%s%s%s", within, m->name,
			m->flags & SCHEMA_LIST ? "[]" : "");
		fprintf(f, "&#10;%s%s (%s%s%s", within, m->name, type_of_member(m),
			m->kind == SCHEMA_TIME ? ", ms since 1970 UTC" : "",
			m->flags & (SCHEMA_OPTIONAL | SCHEMA_NULLABLE) ? ", may be missing" : "");
		if (m->values)
			put_values(f, m->values);
		if (m->object && m->object->name)
			fprintf(f, ", %s", m->object->name);
		fputs("): ", f);
		put(f, m->doc);
		if (m->object && !m->object->name && strlen(path) + 2 < sizeof(path))
			put_members(f, m->object, strcat(path, "."));
	}
}

static void put_result(FILE *f, const struct method *m)
{
	fputs("   <arg type=\"a{sv}\" name=\"result\" direction=\"out\">\n", f);
	begin_doc(f, "    ", DOC);
	if (m->result->name)
		fprintf(f, "%s: ", m->result->name);
	put(f, m->result->doc);
	put_members(f, m->result, "");
	end_doc(f);
	fputs("   </arg>\n", f);
}

/* Methods. */

static void put_errors(FILE *f, const struct method *m)
{
	unsigned all = m->errors | METHOD_COMMON_ERRORS;
	char name[BUS_NAME_SIZE];
	const char *separator = "&#10;Errors, of " BUS_NAME ".Error: ";

	for (unsigned kind = 0; all >> kind; kind++) {
		if (!(all & 1u << kind))
			continue;
		bus_name_of_error(rpc_error_code_of_failure((enum failure_kind)kind), name);
		fprintf(f, "%s%s", separator, strrchr(name, '.') + 1);
		separator = ", ";
	}
	fputs(", InvalidParams, Denied.", f);
}

static void put_method(FILE *f, const struct method *m, const char *member)
{
	fprintf(f, "  <method name=\"%s\">\n", member);
	begin_doc(f, "   ", DOC);
	put(f, m->summary);
	if (m->doc) {
		fputs("&#10;", f);
		put(f, m->doc);
	}
	put_errors(f, m);
	end_doc(f);
	put_params(f, m);
	put_result(f, m);
	fputs("  </method>\n", f);
}

/* All methods of a noun, which may stand in several tables. */
static void put_interface(FILE *f, const char *name)
{
	char interface[BUS_NAME_SIZE], member[BUS_NAME_SIZE];

	fprintf(f, " <interface name=\"%s\">\n", name);
	for (size_t i = 0; method_tables[i]; i++) {
		for (const struct method *m = method_tables[i]; m->name; m++) {
			bus_name_of_method(m, interface, member);
			if (strcmp(interface, name) == 0)
				put_method(f, m, member);
		}
	}
	fputs(" </interface>\n", f);
}

static bool same_noun(const struct method *a, const struct method *b)
{
	size_t n = strcspn(a->name, ".");

	return strncmp(a->name, b->name, n + 1) == 0;
}

/* True if no method before this one is of its noun. */
static bool begins_noun(const struct method *m)
{
	for (size_t i = 0; method_tables[i]; i++) {
		for (const struct method *other = method_tables[i]; other->name; other++) {
			if (other == m)
				return true;
			if (same_noun(m, other))
				return false;
		}
	}
	return true;
}

static void put_interfaces(FILE *f)
{
	char interface[BUS_NAME_SIZE], member[BUS_NAME_SIZE];

	for (size_t i = 0; method_tables[i]; i++) {
		for (const struct method *m = method_tables[i]; m->name; m++) {
			if (!begins_noun(m))
				continue;
			bus_name_of_method(m, interface, member);
			put_interface(f, interface);
		}
	}
}

/* The interface of what is of no noun. */

static void put_property(FILE *f, const char *name, const char *type, const char *doc)
{
	fprintf(f, "  <property name=\"%s\" type=\"%s\" access=\"read\">\n", name, type);
	fputs("   <annotation name=\"org.freedesktop.DBus.Property.EmitsChangedSignal\" "
	      "value=\"true\"/>\n",
		f);
	put_doc(f, "   ", doc);
	fputs("  </property>\n", f);
}

static void put_topics(FILE *f)
{
	begin_doc(f, "    ", DOC);
	fputs("What it is about:", f);
	for (unsigned i = 0; i < N_TOPICS; i++) {
		fprintf(f, "&#10;%s (%s%s): ", topic_names[i],
			topics[i].data->name ? topics[i].data->name : "a{sv}",
			topic_is_durable(i) ? "" : ", without a seq");
		put(f, topics[i].doc);
	}
	end_doc(f);
}

static void put_signal(FILE *f)
{
	fputs("  <signal name=\"Change\">\n", f);
	put_doc(f, "   ",
		"A change, told to those only who called Subscribe of " BUS_NAME ".Events, and in "
		"order. After the daemon came back, Subscribe with since set to the last seq.");
	fputs("   <arg type=\"t\" name=\"seq\">\n", f);
	put_doc(f, "    ", "Its place in the order of changes; 0 for the ephemeral topics.");
	fputs("   </arg>\n   <arg type=\"s\" name=\"topic\">\n", f);
	put_topics(f);
	fputs("   </arg>\n   <arg type=\"a{sv}\" name=\"data\">\n", f);
	put_doc(f, "    ", "What changed, as it is now, of the type that stands with the topic.");
	fputs("   </arg>\n  </signal>\n", f);
}

static void put_types(FILE *f)
{
	for (size_t i = 0; schema_types[i]; i++) {
		char annotation[BUS_NAME_SIZE];

		snprintf(
			annotation, sizeof(annotation), BUS_NAME ".Type.%s", schema_types[i]->name);
		begin_doc(f, "  ", annotation);
		put(f, schema_types[i]->doc);
		put_members(f, schema_types[i], "");
		end_doc(f);
	}
}

static void put_main(FILE *f)
{
	fputs(" <interface name=\"" BUS_NAME "\">\n", f);
	put_doc(f, "  ",
		"A chat account. Its methods are in the interfaces below this one's name, one for "
		"each noun. Parameters and results go by name; what is null elsewhere is left out "
		"here. Members named fd are descriptors.");
	put_types(f);
	put_property(f, "ConnectionState", "s",
		"The session with the server; LIVE only while the server answers.");
	put_property(f, "UnreadCount", "t", "Unread messages of all chats.");
	put_signal(f);
	fputs(" </interface>\n", f);
}

char *bus_introspect(void)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	bool failed;

	if (!f)
		return NULL;
	fputs(head, f);
	put_main(f);
	put_interfaces(f);
	fputs("</node>\n", f);
	failed = ferror(f);
	if (fclose(f) != 0 || failed) {
		free(text);
		return NULL;
	}
	return text;
}
