// SPDX-License-Identifier: GPL-3.0-or-later
// The tus authors' server in front of the loopback backend: it takes uploads by itself, and hands
// each to the backend when it is complete, in the name of whoever uploaded it.
//
//     node server.mjs DIRECTORY BACKEND-URL
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { FileStore } from "@tus/file-store";
import { Server } from "@tus/server";

const [directory, backend] = process.argv.slice(2);

function encode(metadata) {
	return Object.entries(metadata)
		.map(([key, value]) => `${key} ${Buffer.from(value ?? "").toString("base64")}`)
		.join(",");
}

async function send(method, url, headers, body) {
	const answer = await fetch(url, { method, headers: { "Tus-Resumable": "1.0.0", ...headers }, body });

	if (!answer.ok)
		throw { status_code: 503, body: `the backend answers ${answer.status}` };
	return answer.headers.get("Location");
}

async function handOver(authorization, upload) {
	const location = await send("POST", `${backend}/uploads`, {
		"Authorization": authorization,
		"Upload-Length": String(upload.size),
		"Upload-Metadata": encode(upload.metadata),
	});

	await send("PATCH", new URL(location, backend), {
		"Authorization": authorization,
		"Upload-Offset": "0",
		"Content-Type": "application/offset+octet-stream",
	}, await readFile(path.join(directory, upload.id)));
}

const tus = new Server({
	path: "/uploads",
	datastore: new FileStore({ directory }),
	async onUploadFinish(request, response, upload) {
		await handOver(request.headers.authorization, upload);
		return response;
	},
});

const server = createServer(tus.handle.bind(tus)).listen(0, "127.0.0.1", () => {
	console.log(`ready ${server.address().port}`);
});
