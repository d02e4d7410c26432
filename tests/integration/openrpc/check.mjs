// SPDX-License-Identifier: GPL-3.0-or-later
// Reads an OpenRPC document on standard input as the OpenRPC authors' tools do: every reference is
// followed, the whole validated against the meta-schema that the document names. Prints its methods.
import { readFileSync } from 'node:fs';
import { parseOpenRPCDocument, validateOpenRPCDocument } from '@open-rpc/schema-utils-js';

const text = readFileSync(0, 'utf8');
const valid = validateOpenRPCDocument(JSON.parse(text));
if (valid !== true) {
	console.error(valid.message);
	process.exit(1);
}
const api = await parseOpenRPCDocument(text, { validate: true, dereference: true });
for (const method of api.methods)
	console.log(method.name);
